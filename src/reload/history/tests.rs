use std::time::{Duration, UNIX_EPOCH};

use super::*;

fn at(second: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(second)
}

fn hash(text: &str) -> ConfigHash {
    ConfigHash::of(text.as_bytes())
}

fn apply(history: &mut History, text: &str) {
    history.applied(at(1), &hash(text), Trigger::File, text.into());
}

fn numbers(history: &History) -> Vec<u64> {
    history.newest_first().map(|entry| entry.number).collect()
}

#[test]
fn entries_are_counted_up_and_the_newest_comes_first() {
    let mut history = History::default();
    history.started(at(1), &hash("a"), "a".into());
    apply(&mut history, "b");
    history.rejected(
        at(3),
        Some(&hash("c")),
        Trigger::Signal,
        "error: no\n --> line 3",
    );
    assert_eq!(numbers(&history), [3, 2, 1]);
    let last = history.get(3).unwrap();
    assert_eq!(last.outcome, Outcome::Rejected("error: no".to_owned()));
    assert_eq!(last.text, None);
    assert_eq!(history.in_force().unwrap().number, 2);
}

#[test]
fn a_start_with_the_config_that_was_in_force_is_no_news() {
    let mut history = History::default();
    history.started(at(1), &hash("a"), "a".into());
    history.started(at(2), &hash("a"), "a".into());
    assert_eq!(numbers(&history), [1]);
    history.started(at(3), &hash("b"), "b".into());
    assert_eq!(numbers(&history), [2, 1]);
}

#[test]
fn the_same_refusal_again_is_no_news_and_another_is() {
    let mut history = History::default();
    for why in ["one", "one", "two", "one"] {
        history.rejected(at(1), Some(&hash("x")), Trigger::File, why);
    }
    assert_eq!(numbers(&history), [3, 2, 1]);
}

#[test]
fn what_was_taken_back_is_not_in_force_and_the_one_before_it_can_be_found() {
    let mut history = History::default();
    for text in ["good", "bad"] {
        apply(&mut history, text);
    }
    history.rolled_back("it failed");
    assert_eq!(history.in_force().unwrap().number, 1);
    apply(&mut history, "good");
    assert_eq!(
        history.get(2).unwrap().outcome,
        Outcome::RolledBack("it failed".to_owned())
    );
    assert_eq!(history.before(3).map(|entry| entry.number), Some(2));
    assert_eq!(history.before(1), None);
}

#[test]
fn there_are_never_more_than_fifty_and_broken_files_do_not_push_out_what_worked() {
    let mut history = History::default();
    apply(&mut history, "worked");
    for n in 0..200 {
        history.rejected(at(n), Some(&hash(&n.to_string())), Trigger::File, "no");
    }
    assert_eq!(numbers(&history).len(), MOST_ENTRIES);
    assert_eq!(history.in_force().unwrap().number, 1);
    for n in 0..200 {
        apply(&mut history, &n.to_string());
    }
    assert_eq!(numbers(&history).len(), MOST_ENTRIES);
    let rejected = history
        .newest_first()
        .filter(|entry| matches!(entry.outcome, Outcome::Rejected(_)));
    assert_eq!(rejected.count(), 0);
    assert_eq!(numbers(&history)[0], 401);
}

#[test]
fn files_that_are_too_much_together_are_dropped_from_the_oldest_on() {
    let mut history = History::default();
    for n in 0..12 {
        apply(&mut history, &format!("{n}{}", "x".repeat(1_000_000)));
    }
    let kept: Vec<_> = history
        .newest_first()
        .map(|entry| entry.text.is_some())
        .collect();
    assert_eq!(kept, [vec![true; 8], vec![false; 4]].concat());
}

#[test]
fn a_long_reason_is_cut_on_the_border_of_a_character() {
    let mut history = History::default();
    history.rejected(at(1), None, Trigger::File, &"ä".repeat(400));
    let Outcome::Rejected(why) = &history.get(1).unwrap().outcome else {
        panic!("rejected")
    };
    assert_eq!(why.len(), 500);
}
