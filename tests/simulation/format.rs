//! What a scenario file may say.

use crate::sim::{contest::runs, laws::Choice, scenario::Scenario};

fn parse(text: &str) -> Result<Scenario, String> {
    Scenario::parse(text, "text")
}

#[test]
fn a_file_may_leave_everything_out() {
    let scenario = parse("").expect("all keys have a default");
    assert_eq!(scenario.name, "text");
    assert_eq!(scenario.compare, [16.0, 17.0, 18.0]);
}

#[test]
fn a_plain_number_stands_for_a_list_of_steps() {
    let plain = parse("rate = 640\nworkers = 8\nfail = 0.5\nscale = 2").expect("numbers");
    let steps =
        parse("rate = [[0, 640]]\nworkers = [[0, 8]]\nfail = [[0, 0.5]]\nscale = [[0, 2.0]]");
    assert_eq!(format!("{plain:?}"), format!("{:?}", steps.expect("steps")));
}

#[test]
fn what_is_unknown_or_ill_formed_is_refused_by_name() {
    let wrong = [
        ("rates = 4", "`rates`"),
        ("expect = { of_bets = [0, 1] }", "`expect.of_bets`"),
        ("expect = { of_best = 1 }", "`expect.of_best`"),
        ("routes = [{ shares = 1.0 }]", "`shares`"),
        ("routes = []", "`routes`"),
        ("slo = \"200 parsecs\"", "`slo`"),
        ("discipline = \"stack\"", "`stack`"),
        ("distribution = \"cauchy\"", "`cauchy`"),
        ("classes = [{ priority = \"vip\" }]", "`vip`"),
        ("rate = [[0, 1, 2]]", "`rate`"),
        ("measure = [5, 2]", "`measure`"),
    ];
    for (text, named) in wrong {
        let error = parse(text).expect_err(text);
        assert!(error.contains(named), "{text}: {error}");
    }
}

#[test]
fn the_same_seed_gives_the_same_trace_and_another_seed_another() {
    let scenario =
        parse("seconds = 6\nrate = 2400\nmeasure = [1, 6]\ncompare = [16]").expect("a scenario");
    let law = Choice::named("adaptive", None).expect("a law");
    let all = runs(&scenario, &[law.clone(), law], &[7, 8], 2);
    assert_eq!(all[0], all[1]);
    assert_ne!(all[0][0], all[0][1]);
}
