//! Draws incidents: which fault, when, among what, and which request is asked about; all by a seed.

use std::{path::Path, time::Duration};

use rand::{RngExt, SeedableRng, rngs::StdRng, seq::SliceRandom};

use super::{DOUBLE, RECORDED, fault::Fault, incident::Incident, stage::Stage};

/// How long traffic goes on before and after.
const BEFORE: Duration = Duration::from_millis(1500);
const AFTER: Duration = Duration::from_millis(1500);

/// The incident of `seed` in which `faults` strike one after the other; `None` where no request failed.
pub async fn draw(seed: u64, faults: &[Fault]) -> Option<Incident> {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut needs = faults[0].needs();
    for other in &faults[1..] {
        let more = other.needs();
        needs.servers = needs.servers.max(more.servers) + 1;
        needs.rate = needs.rate.or(more.rate);
    }
    let mut stage = Stage::set(&needs, &mut rng).await;
    stage.goes_on(BEFORE, &mut rng).await;
    stage.stirs(&mut rng).await;
    for (index, fault) in faults.iter().enumerate() {
        fault.strikes(&mut stage, index, &mut rng).await;
    }
    stage.goes_on(AFTER, &mut rng).await;
    let failed = stage.failed();
    let asked = failed.get(rng.random_range(0..failed.len().max(1)))?;
    Some(Incident {
        seed,
        injected: faults.iter().map(|fault| fault.injected()).collect(),
        asked: asked.request_id.clone(),
        around: stage.around(asked),
    })
}

/// Draws [`RECORDED`] incidents from `seed` on, and writes them to `folder` in place of those that are there.
pub async fn record(seed: u64, folder: &Path) {
    std::fs::remove_dir_all(folder).ok();
    std::fs::create_dir_all(folder).expect("a folder");
    let mut rng = StdRng::seed_from_u64(seed);
    let mut order = Fault::ALL;
    order.shuffle(&mut rng);
    let mut next = order.iter().cycle();
    let mut file = 0;
    for seed in seed.. {
        if file == RECORDED {
            return;
        }
        let faults = if file < RECORDED - DOUBLE {
            vec![*next.next().expect("it goes round")]
        } else {
            two(&mut rng)
        };
        let Some(incident) = draw(seed, &faults).await else {
            println!("seed {seed}: {faults:?} let nothing fail");
            continue;
        };
        let path = folder.join(format!("{file:02}.json"));
        let text = serde_json::to_string(&incident).expect("JSON");
        std::fs::write(path, text + "\n").expect("written");
        println!("{file:02}: {}", incident.judge().line);
        file += 1;
    }
}

/// Two faults that can be at once: at two servers, or at one and with the clients.
fn two(rng: &mut StdRng) -> Vec<Fault> {
    let mut at_one = Fault::AT_ONE;
    at_one.shuffle(rng);
    let second = if rng.random_bool(0.5) {
        at_one[1]
    } else {
        Fault::BESIDE[rng.random_range(0..Fault::BESIDE.len())]
    };
    vec![at_one[0], second]
}
