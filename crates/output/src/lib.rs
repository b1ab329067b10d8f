//! Text for people and scripts: tables, Go templates, sizes, times.
