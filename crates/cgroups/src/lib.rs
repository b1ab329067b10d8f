//! Control groups version 2: find, create, limit, measure, freeze, remove.
