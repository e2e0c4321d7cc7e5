//! On virtual time: each scenario of `tests/scenarios`, whose expectations must hold; and, in `change`, a gateway to
//! which everything happens.
//!
//! A test for each row of the table in `benches/overload/README.md`; its files begin with the row's number. A failure
//! names scenario and figure; `cargo bench --bench simulate -- FILE --seeds 3 --laws adaptive` replays it.

#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking"
)]

#[path = "../support/sim/mod.rs"]
mod sim;

mod change;
mod format;
mod settles;

use std::{fs, path::Path};

use sim::{contest::compete, laws::Choice, scenario::Scenario};

/// The same as `--first 300`.
const FIRST_SEED: u64 = 300;

/// All files of a row must hold.
fn row(number: u32) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios");
    let prefix = format!("{number:02}-");
    let entries = fs::read_dir(folder)
        .expect("the scenarios are there")
        .flatten();
    let mut files: Vec<_> = entries.map(|entry| entry.path()).collect();
    files.retain(|file| {
        file.file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with(&prefix))
    });
    assert!(!files.is_empty(), "row {number} has a file");
    files.sort();
    let misses: Vec<String> = files.iter().flat_map(|file| misses(file)).collect();
    assert!(misses.is_empty(), "{misses:#?}");
}

fn misses(file: &Path) -> Vec<String> {
    let scenario = Scenario::read(file).expect("a scenario");
    let laws = [("adaptive".to_owned(), Choice::named("adaptive", None))];
    let seeds: Vec<u64> = (FIRST_SEED..FIRST_SEED + scenario.seeds).collect();
    let standings = compete(&scenario, &laws, &seeds, 1);
    standings
        .iter()
        .flat_map(|standing| standing.misses(&scenario))
        .collect()
}

#[test]
fn row_01_below_capacity_nothing_is_refused() {
    row(1);
}

#[test]
fn row_02_at_capacity_all_of_it_is_used() {
    row(2);
}

#[test]
fn row_03_overload_costs_next_to_nothing() {
    row(3);
}

#[test]
fn row_04_overload_that_lasts_does_not_wear_the_limit_away() {
    row(4);
}

#[test]
fn row_05_clients_that_retry_get_no_more_work_out_of_it() {
    row(5);
}

#[test]
fn row_06_critical_is_served_while_it_fits() {
    row(6);
}

#[test]
fn row_07_lower_classes_keep_a_trace_only() {
    row(7);
}

#[test]
fn row_08_a_cold_start_finds_its_place() {
    row(8);
}

#[test]
fn row_09_pools_of_other_sizes_are_found_too() {
    row(9);
}

#[test]
fn row_10_half_of_the_workers_lost_is_noticed_at_once() {
    row(10);
}

#[test]
fn row_11_workers_that_come_are_used_soon() {
    row(11);
}

#[test]
fn row_12_slower_service_is_not_taken_for_fewer_workers() {
    row(12);
}

#[test]
fn row_13_a_brown_out_leaves_nothing_behind() {
    row(13);
}

#[test]
fn row_14_bursts_are_worked_through() {
    row(14);
}

#[test]
fn row_15_a_trickle_moves_nothing() {
    row(15);
}

#[test]
fn row_16_unlike_routes_share_an_endpoint() {
    row(16);
}

#[test]
fn row_17_a_mix_that_shifts_is_followed() {
    row(17);
}

#[test]
fn row_18_failures_that_load_has_no_part_in_shed_nothing() {
    row(18);
}

#[test]
fn row_19_refusals_of_the_backend_are_heeded() {
    row(19);
}

#[test]
fn row_20_an_outage_leaves_nothing_behind() {
    row(20);
}

#[test]
fn row_21_network_and_distributions_do_not_matter() {
    row(21);
}

#[test]
fn row_22_clients_that_leave_do_not_overfill_the_backend() {
    row(22);
}

#[test]
fn row_23_two_gateways_share_alike() {
    row(23);
}

#[test]
fn row_24_a_heavy_tenant_harms_no_light_one() {
    row(24);
}

#[test]
fn row_25_reloads_lose_nothing() {
    row(25);
}

#[test]
fn row_26_one_slow_endpoint_harms_little_but_itself() {
    row(26);
}

#[test]
fn row_27_shadow_refuses_nothing() {
    row(27);
}

#[test]
fn row_28_a_shared_processor_is_known_for_one() {
    row(28);
}

/// Beyond the table: four and sixteen workers whose answers are rare.
#[test]
fn row_29_a_slow_service_is_known_as_well() {
    row(29);
}
