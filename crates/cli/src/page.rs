//! Questions to the user, man pages, completions.

use crate::commands;
use crate::failure::Failure;
use crate::help;
use std::io::{BufRead, Write};

/// Asks before something is destroyed; anything but yes is no.
pub(crate) fn confirm(warning: &str) -> Result<bool, Failure> {
    print!("WARNING! {warning}\nAre you sure you want to continue? [y/N] ");
    std::io::stdout().flush().map_err(|e| Failure::usage(e.to_string()))?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer).map_err(|e| Failure::usage(e.to_string()))?;
    Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}

/// Writes a man page for each command, and one for the program.
pub(crate) fn write_man_pages(dir: &std::path::Path) -> Result<usize, Failure> {
    let io = |e: std::io::Error| Failure::usage(format!("writing man pages to {:?}: {e}", dir.display()));
    std::fs::create_dir_all(dir).map_err(io)?;
    let mut count = 0;
    for (path, command) in commands::every_path() {
        let name = format!("coracle-{}", path.replace(' ', "-"));
        let body = help::command_text(command, path);
        std::fs::write(dir.join(format!("{name}.1")), roff(&name, command.about, &body)).map_err(io)?;
        count += 1;
    }
    let overview: String = commands::overview().iter().map(|(name, about)| format!("  {name:<12} {about}\n")).collect();
    std::fs::write(
        dir.join("coracle.1"),
        roff(
            "coracle",
            "run containers without a daemon and without root",
            &format!("Usage:\n  coracle [options] command\n\nCommands:\n{overview}"),
        ),
    )
    .map_err(io)?;
    Ok(count + 1)
}

fn roff(name: &str, about: &str, body: &str) -> String {
    let escape = |text: &str| text.replace('\\', "\\e").replace('-', "\\-");
    let mut page = format!(
        ".TH {} 1 \"\" \"coracle\" \"User Commands\"\n.SH NAME\n{} \\- {}\n.SH DESCRIPTION\n.nf\n",
        name.to_uppercase(),
        escape(name),
        escape(about)
    );
    for line in body.lines() {
        let line = escape(line);
        // A dot or a quote at the beginning would be a request.
        page.push_str(if line.starts_with(['.', '\'']) { "\\&" } else { "" });
        page.push_str(&line);
        page.push('\n');
    }
    page.push_str(".fi\n");
    page
}

/// The completion script of a shell.
pub(crate) fn completion(shell: &str) -> Result<String, Failure> {
    let mut tree: std::collections::BTreeMap<String, Vec<String>> = std::collections::BTreeMap::new();
    tree.insert(String::new(), commands::top_level().map(str::to_owned).collect());
    for (path, command) in commands::every_path() {
        if let Some((group, member)) = path.split_once(' ') {
            tree.entry(group.to_owned()).or_default().push(member.to_owned());
        }
        let flags = help::options(command.flags);
        let words =
            flags.lines().filter_map(|line| line.split_ascii_whitespace().find(|word| word.starts_with("--"))).map(str::to_owned).collect();
        tree.insert(format!("{path} -"), words);
    }
    match shell {
        "bash" => {
            let mut cases = String::new();
            for (path, words) in &tree {
                cases.push_str(&format!("    \"{path}\") words=\"{}\" ;;\n", words.join(" ")));
            }
            Ok(format!(
                "# bash completion for coracle\n_coracle() {{\n  local cur=\"${{COMP_WORDS[COMP_CWORD]}}\" path=\"\" words=\"\" i\n  for ((i = 1; i < COMP_CWORD; i++)); do\n    \
                 case \"${{COMP_WORDS[i]}}\" in -*) ;; *) if [ $i -le 2 ]; then path=\"${{path:+$path }}${{COMP_WORDS[i]}}\"; fi ;; esac\n  done\n  \
                 case \"$path\" in container\\ *|image\\ *|volume\\ *|system\\ *) ;; *\\ *) path=\"${{path%% *}}\" ;; esac\n  [[ $cur == -* ]] && path=\"$path -\"\n  case \"$path\" in\n{cases}    \
                 *) words=\"$(coracle ps -a --format '{{{{.Names}}}}' 2>/dev/null)\" ;;\n  esac\n  COMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n}}\ncomplete -o default -F _coracle coracle\n"
            ))
        }
        "zsh" => Ok(format!("#compdef coracle\nautoload -U +X bashcompinit && bashcompinit\n{}", completion("bash")?)),
        "fish" => {
            let mut script = String::from("# fish completion for coracle\ncomplete -c coracle -f\n");
            for (path, words) in tree.iter().filter(|(path, _)| !path.ends_with('-')) {
                let condition =
                    if path.is_empty() { "__fish_use_subcommand".to_owned() } else { format!("__fish_seen_subcommand_from {path}") };
                script.push_str(&format!("complete -c coracle -n '{condition}' -a '{}'\n", words.join(" ")));
            }
            Ok(script)
        }
        other => Err(Failure::usage(format!("unknown shell {other:?}: it is bash, zsh or fish"))),
    }
}
