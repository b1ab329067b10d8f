//! `top`

use super::Command;
use crate::app::App;
use crate::args::{Kind, Parsed, flag};
use crate::failure::Failure;
use engine::container::{find, top};

pub(crate) const TOP: Command = Command {
    paths: &["top", "container top"],
    about: "Show the processes of a container",
    description: "Shows the processes of a running container by descriptors such as user, pid, comm, args, capeff, hpid.",
    usage: "[options] CONTAINER [DESCRIPTOR...]",
    examples: &["top web", "top web pid,comm,capeff", "top -l user,group,huser"],
    flags: &[&[
        flag("latest", 'l', Kind::Switch, "", "The container made last"),
        flag("list-descriptors", ' ', Kind::Switch, "", "List the descriptors"),
    ]],
    options_first: false,
    arguments: (0, None),
    run: main,
};

fn main(app: &App, parsed: Parsed) -> Result<i32, Failure> {
    if parsed.on("list-descriptors") {
        let mut names: Vec<&str> = top::DESCRIPTORS.iter().map(|(name, _)| *name).collect();
        names.sort_unstable();
        println!("{}", names.join("\n"));
        return Ok(0);
    }
    let engine = app.engine()?;
    let mut words = parsed.positionals.clone();
    let record = if parsed.on("latest") {
        find::latest(&engine)?
    } else if words.is_empty() {
        return Err(Failure::usage("you must provide the name or id of a running container"));
    } else {
        find::find(&engine, &words.remove(0))?
    };
    let descriptors: Vec<String> =
        words.iter().flat_map(|word| word.split(',')).filter(|word| !word.is_empty()).map(str::to_lowercase).collect();
    let found = top::top(&engine, &record, &descriptors)?;
    let headers: Vec<&str> = found.headers.iter().map(String::as_str).collect();
    let mut table = output::Table::new(&headers);
    for row in found.rows {
        table.row(row.iter().map(|cell| output::printable(cell)).collect());
    }
    print!("{}", table.render(true));
    Ok(0)
}
