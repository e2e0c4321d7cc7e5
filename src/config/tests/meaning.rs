//! What files mean.

use std::{num::NonZeroU32, time::Duration};

use super::{
    super::{
        AccessTarget, ActionPlan, BalancePolicy, ConcurrencyMode, EndpointSource, HostMatch,
        LawWord, PathMatch, RateKey, RewritePlan, UpstreamProtocol, plan::Plan,
    },
    MINIMAL, loaded, read,
};

fn plan(text: &str) -> Plan {
    loaded(text).plan
}

#[test]
fn what_is_left_out_has_the_defaults_of_the_reference() {
    let plan = plan(MINIMAL);
    assert_eq!(plan.admin.bind.to_string(), "127.0.0.1:9900");
    assert_eq!(plan.log.access, AccessTarget::Stdout);
    assert_eq!(plan.drain.timeout, Duration::from_secs(30));
    assert_eq!(plan.upgrade.timeout, Duration::from_secs(30));
    let listener = &plan.listeners[0];
    assert_eq!(listener.name.as_str(), "default");
    assert_eq!(listener.max_header_bytes.get(), 32 << 10);
    assert_eq!(listener.max_connections, None);
    let upstream = plan.upstreams.values().next().unwrap();
    assert_eq!(upstream.protocol, UpstreamProtocol::Auto);
    assert_eq!(upstream.balance, BalancePolicy::LeastRequest);
    assert_eq!(upstream.slow_start, Duration::from_secs(30));
    assert_eq!(upstream.max_connection_age, Duration::from_secs(600));
    assert_eq!(upstream.health, None);
    assert_eq!(
        upstream
            .ejection
            .as_ref()
            .unwrap()
            .consecutive_failures
            .get(),
        5
    );
    assert!(matches!(
        upstream.concurrency.mode,
        ConcurrencyMode::Learned {
            law: LawWord::Adaptive,
            total: None,
            ..
        }
    ));
    assert!(!upstream.concurrency.shadow);
    assert_eq!(upstream.concurrency.queue.max_waiting, 64);
    assert!(plan.pressure.enabled && !plan.pressure.shadow);
    assert_eq!(plan.reload.guard, None);
    assert_eq!(plan.history.dir, None);
    let route = &plan.routes[0];
    assert_eq!(route.name.as_str(), "default");
    assert_eq!(route.matcher.path, PathMatch::Prefix("".into()));
    assert_eq!(route.timeout, Some(Duration::from_secs(60)));
    assert_eq!(route.max_body_bytes, None);
    assert_eq!(route.retry.attempts.get(), 2);
    assert!(route.retry.on.connect && route.retry.on.reset && !route.retry.on.status_503);
    assert_eq!(route.retry.replay_bytes, 64 << 10);
}

#[test]
fn a_rate_limit_takes_its_name_from_its_key_and_its_burst_from_its_rate() {
    let plan = plan(&format!(
        "{MINIMAL}[[routes.rate_limits]]\nrate = \"7/m\"\nkey = \"header:X-Tenant\"\n"
    ));
    let limit = &plan.routes[0].rate_limits[0];
    assert_eq!(&*limit.name, "header:x-tenant");
    assert_eq!(limit.burst, NonZeroU32::new(7).unwrap());
    assert_eq!(limit.per, Duration::from_secs(60));
    assert_eq!(limit.max_keys.get(), 65_536);
    assert!(matches!(&limit.key, RateKey::Header(name) if name == "x-tenant"));
}

#[test]
fn off_means_no_end_and_no_limit() {
    let plan = plan(&format!("{MINIMAL}timeout = \"off\"\nmax_body = \"off\"\n"));
    assert_eq!(plan.routes[0].timeout, None);
    assert_eq!(plan.routes[0].max_body_bytes, None);
}

#[test]
fn endpoints_are_compared_by_failures_unless_told_otherwise_and_by_latency_where_asked() {
    let of = |ejection: &str| {
        let text = MINIMAL.replace(
            "[[routes]]",
            &format!("ejection = {{ {ejection} }}\n[[routes]]"),
        );
        plan(&text)
            .upstreams
            .values()
            .next()
            .unwrap()
            .ejection
            .clone()
            .unwrap()
    };
    let default = of("");
    assert_eq!(default.interval, Duration::from_secs(10));
    assert_eq!(default.consecutive_local_failures.get(), 5);
    let rate = default.success_rate.unwrap();
    assert_eq!((rate.minimum_requests.get(), rate.margin), (100, 0.3));
    assert_eq!(default.latency, None);
    assert_eq!(of("success_rate = { enabled = false }").success_rate, None);
    let latency = of("latency = {}").latency.unwrap();
    assert_eq!((latency.minimum_requests.get(), latency.factor), (50, 3.0));
    assert_eq!(latency.margin, Duration::from_millis(10));
    assert_eq!(of("latency = { enabled = false }").latency, None);
    assert_eq!(
        of("consecutive_failures = 9")
            .consecutive_local_failures
            .get(),
        9
    );
    let apart = of("consecutive_failures = 9, consecutive_local_failures = 2");
    assert_eq!(apart.consecutive_local_failures.get(), 2);
}

#[test]
fn ejection_is_on_unless_it_is_turned_off() {
    let plan = plan(&MINIMAL.replace("[[routes]]", "ejection = { enabled = false }\n[[routes]]"));
    assert_eq!(plan.upstreams.values().next().unwrap().ejection, None);
}

#[test]
fn endpoints_are_kept_in_one_form() {
    let plan = plan(&MINIMAL.replace(
        "{ address = \"127.0.0.1:3000\" }",
        "{ address = \"[::ffff:10.0.0.1]:80\" }, { dns = \"Shop.Internal.:8080\", weight = 3 }",
    ));
    let endpoints = &plan.upstreams.values().next().unwrap().endpoints;
    assert_eq!(
        endpoints[0].source,
        EndpointSource::Address("10.0.0.1:80".parse().unwrap())
    );
    let name = EndpointSource::Dns {
        name: "shop.internal.".into(),
        port: 8080,
    };
    assert_eq!(endpoints[1].source, name);
    assert_eq!(endpoints[1].weight.get(), 3);
}

#[test]
fn a_route_is_read_with_all_its_conditions() {
    let plan = plan(&format!(
        "{MINIMAL}hosts = [\"Shop.example\", \"*.Shop.example\"]\npath_prefix = \"/api/\"\nmethods = [\"GET\"]\n\
         headers = {{ X-A = \"1\", x-b = true }}\nquery = {{ q = \"a b\" }}\nstrip_prefix = \"/api\"\n"
    ));
    let route = &plan.routes[0];
    let hosts = [
        HostMatch::Exact("shop.example".into()),
        HostMatch::Wildcard("shop.example".into()),
    ];
    assert_eq!(route.matcher.hosts, hosts);
    assert_eq!(route.matcher.path, PathMatch::Prefix("/api".into()));
    assert_eq!(route.matcher.headers[0].value.as_ref().unwrap(), "1");
    assert_eq!(route.matcher.headers[1].value, None);
    assert_eq!(route.matcher.query[0].value.as_deref(), Some("a b"));
    assert_eq!(route.rewrite, Some(RewritePlan::StripPrefix("/api".into())));
}

#[test]
fn a_redirect_is_permanent_where_nothing_else_is_said() {
    let plan =
        plan("[[listeners]]\nbind = \"127.0.0.1:0\"\n[[routes]]\nredirect = { to = \"/new\" }\n");
    let ActionPlan::Redirect { status, .. } = &plan.routes[0].action else {
        panic!("{:?}", plan.routes[0].action);
    };
    assert_eq!(status.as_u16(), 308);
}

#[test]
fn the_order_of_tables_means_nothing() {
    let (listener, rest) = MINIMAL.split_at(MINIMAL.find("[upstreams").unwrap());
    let (upstream, route) = rest.split_at(rest.find("[[routes").unwrap());
    assert_eq!(plan(&format!("{route}{upstream}{listener}")), plan(MINIMAL));
}

#[test]
fn dotted_and_inline_tables_mean_the_same_as_headers() {
    let dotted = "listeners = [{ bind = \"127.0.0.1:8080\" }]\n\
                  upstreams.app.endpoints = [{ address = \"127.0.0.1:3000\" }]\n\
                  routes = [{ upstream = \"app\" }]\n";
    assert_eq!(plan(dotted), plan(MINIMAL));
}

#[test]
fn two_listeners_on_port_0_are_two_listeners() {
    let text = "[[listeners]]\nname = \"a\"\nbind = \"127.0.0.1:0\"\n[[listeners]]\nname = \"b\"\nbind = \"127.0.0.1:0\"\n";
    assert_eq!(plan(text).listeners.len(), 2);
}

#[test]
fn routes_that_differ_in_one_condition_are_not_equal() {
    for (one, other) in [
        ("path = \"/a\"", "path_prefix = \"/a\""),
        ("hosts = [\"a.example\"]", "hosts = [\"*.a.example\"]"),
        ("hosts = [\"a.example\"]", ""),
        ("methods = [\"GET\"]", "methods = [\"POST\"]"),
        ("methods = [\"GET\"]", ""),
        ("headers = { x = \"1\" }", "headers = { x = \"2\" }"),
        ("headers = { x = \"1\" }", "headers = { x = true }"),
        ("query = { q = \"1\" }", ""),
    ] {
        let text = format!(
            "{MINIMAL}name = \"one\"\n{one}\n[[routes]]\nname = \"other\"\nupstream = \"app\"\n{other}\n"
        );
        assert!(read(&text).is_ok(), "{}", read(&text).unwrap_err());
    }
}

#[test]
fn a_wait_that_nobody_asked_for_may_be_longer_than_a_route() {
    let short = format!("{MINIMAL}timeout = \"50ms\"\n");
    assert!(read(&short).is_ok());
    for concurrency in [
        "{ mode = \"off\" }",
        "{ shadow = true, mode = \"adaptive\" }",
        "{ mode = \"adaptive\", queue = { max_waiting = 0 } }",
        "{ min = 4 }",
    ] {
        let table = format!("concurrency = {concurrency}\n[[routes]]");
        let text = short.replace("[[routes]]", &table);
        assert!(read(&text).is_ok(), "{}", read(&text).unwrap_err());
    }
}

#[test]
fn a_wait_that_is_asked_for_is_not_longer_than_a_route_in_any_mode() {
    for mode in ["adaptive", "aimd", "vegas", "gradient2"] {
        let table = format!("concurrency = {{ mode = \"{mode}\" }}\n[[routes]]");
        let text = format!("{MINIMAL}timeout = \"50ms\"\n").replace("[[routes]]", &table);
        let errors = read(&text).unwrap_err();
        assert_eq!(errors.iter().next().unwrap().code(), "C022", "{errors}");
    }
}

#[test]
fn an_empty_guard_has_the_defaults_and_a_folder_starts_at_the_file_s() {
    let text = format!("[reload.guard]\n[history]\ndir = \"kept\"\n{MINIMAL}");
    let path = std::path::Path::new("/etc/tidegate/tidegate.toml");
    let plan = super::super::parse(&text, path).unwrap().plan;
    let guard = plan.reload.guard.unwrap();
    assert_eq!(guard.window, Duration::from_secs(60));
    assert!((guard.max_failure_increase - 0.05).abs() < f64::EPSILON);
    assert_eq!(guard.min_requests.get(), 100);
    let dir = plan.history.dir.unwrap();
    assert_eq!(dir, std::path::Path::new("/etc/tidegate/kept"));
}
