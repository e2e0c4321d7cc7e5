//! The command line.

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

use super::{
    check, config, demo, doctor, explain, healthcheck, incidents, recommend, run, schema, upgrade,
};

/// A load-shedding edge gateway: admits what its upstreams can finish, refuses the rest early, and explains
/// every failure.
#[derive(Debug, Parser)]
#[command(name = "tidegate", version, arg_required_else_help = true)]
struct Command {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Run the gateway. SIGHUP reads the file again; SIGUSR2 lets a newer binary take over; SIGTERM drains and ends it,
    /// a second one ends it at once.
    Run(run::RunArgs),
    /// Show what the gateway is for: a rising load on a fragile service, with and without it.
    Demo(demo::DemoArgs),
    /// Show every error of a config file.
    Check(check::CheckArgs),
    /// Print the JSON Schema of the config file.
    Schema,
    /// Ask a running gateway whether it is ready.
    Healthcheck(healthcheck::HealthcheckArgs),
    /// Print limits that the last hour's traffic of a running gateway would have fitted into, as lines to paste.
    Recommend(recommend::RecommendArgs),
    /// Look at the configs that a running gateway had, compare them, and put one of them into force again.
    Config(config::ConfigArgs),
    /// Print what a kind of fault means, why it usually happens, where to look and what prevents the next.
    Explain(explain::ExplainArgs),
    /// Look at the road to upstreams from where the gateway stands, step by step: name, way, connection, TLS, answer, rest;
    /// and at the machine. Through a running gateway, or from this process where none runs. Ends with 0 where nothing is
    /// bad, 1 where something is, 2 where there is no such target.
    Doctor(doctor::DoctorArgs),
    /// List faults of a running gateway that belong together: where, since when, how much they hit, why, what ended them.
    Incidents(incidents::IncidentsArgs),
    /// Let a newer binary take over from a running gateway without refusing a connection, and wait until it has.
    Upgrade(upgrade::UpgradeArgs),
}

/// The verbs and their options, for whoever writes them down.
#[must_use]
pub fn command() -> clap::Command {
    Command::command()
}

/// Reads the command line, runs the verb, and says how it ended: 0, 1 (a config that cannot be used, or not
/// healthy), 2 (wrong usage), 3 (the drain cut something).
pub fn main() -> ExitCode {
    let command = match Command::try_parse() {
        Ok(command) => command,
        Err(error) => {
            // Help and version too come this way, with 0. A closed output is no reason to fail.
            drop(error.print());
            return u8::try_from(error.exit_code()).map_or(ExitCode::FAILURE, ExitCode::from);
        }
    };
    match command.verb {
        Verb::Run(args) => run::run(&args),
        Verb::Demo(args) => run::demo(&args),
        Verb::Check(args) => check::run(&args),
        Verb::Schema => schema::run(),
        Verb::Healthcheck(args) => healthcheck::run(&args),
        Verb::Recommend(args) => recommend::run(&args),
        Verb::Config(args) => config::run(&args),
        Verb::Explain(args) => explain::run(&args),
        Verb::Doctor(args) => doctor::run(&args),
        Verb::Incidents(args) => incidents::run(&args),
        Verb::Upgrade(args) => upgrade::run(&args),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_contradicts_itself_nowhere() {
        Command::command().debug_assert();
    }

    #[test]
    fn a_wrong_command_line_ends_with_2_and_help_with_0() {
        let code =
            |words: &[&str]| Command::try_parse_from(words).map_err(|error| error.exit_code());
        assert_eq!(code(&["tidegate", "fly"]).err(), Some(2));
        assert_eq!(code(&["tidegate", "check"]).err(), Some(2));
        assert_eq!(code(&["tidegate"]).err(), Some(2));
        assert_eq!(code(&["tidegate", "config"]).err(), Some(2));
        assert_eq!(code(&["tidegate", "config", "rollback"]).err(), Some(2));
        assert_eq!(code(&["tidegate", "--version"]).err(), Some(0));
        assert!(code(&["tidegate", "run"]).is_ok());
    }
}
