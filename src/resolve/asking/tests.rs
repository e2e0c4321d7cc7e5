use std::future::pending;

use tokio::time::Instant;

use super::{super::server::SERVER_TIMEOUT, *};

#[tokio::test(start_paused = true)]
async fn a_good_family_waits_a_short_time_for_the_other() {
    let start = Instant::now();
    let good = pin!(async { Ok::<_, ()>(1) });
    let never = pin!(pending());
    assert_eq!(both(good, never).await, (Some(Ok(1)), None));
    let waited = start.elapsed();
    assert!(waited >= OTHER_FAMILY_AFTER && waited < OTHER_FAMILY_AFTER * 2);
}

#[tokio::test(start_paused = true)]
async fn a_failed_family_waits_for_the_other_as_long_as_it_takes() {
    let bad = pin!(async { Err::<u8, _>(1) });
    let late = pin!(async {
        sleep(SERVER_TIMEOUT).await;
        Ok(2)
    });
    assert_eq!(both(late, bad).await, (Some(Ok(2)), Some(Err(1))));
}
