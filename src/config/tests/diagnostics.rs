//! What is told of files that are wrong, word for word.

use super::{errors, read, warnings};

#[test]
fn an_unknown_word_names_the_nearest() {
    insta::assert_snapshot!(errors(r#"[[listeners]]
bind = "127.0.0.1:8080"
[upstreams.app]
endpoints = [{ address = "127.0.0.1:3000" }]
concurrency = { mode = "adaptve" }
[[routes]]
upstream = "app"
"#), @r#"
    error[C014]: unknown concurrency mode `adaptve`
     --> tidegate.toml:5:24
      |
    5 | concurrency = { mode = "adaptve" }
      |                        ^^^^^^^^^ expected one of: adaptive, fixed, aimd, vegas, gradient2, off
      |
      = help: did you mean `adaptive`?
    "#);
}

#[test]
fn an_unknown_word_names_the_nearest_that_works() {
    insta::assert_snapshot!(errors(r#"[[listeners]]
bind = "127.0.0.1:8080"
[upstreams.app]
endpoints = [{ address = "127.0.0.1:3000" }]
balance = "round-robin"
[[routes]]
upstream = "app"
"#), @r#"
    error[C014]: unknown balance policy `round-robin`
     --> tidegate.toml:5:11
      |
    5 | balance = "round-robin"
      |           ^^^^^^^^^^^^^ expected one of: least_request, round_robin, random, peak_ewma
      |
      = help: did you mean `round_robin`?
    "#);
}

#[test]
fn an_unknown_word_near_one_of_a_later_version_names_it() {
    insta::assert_snapshot!(errors(r#"[[listeners]]
bind = "127.0.0.1:8080"
[upstreams.app]
endpoints = [{ address = "127.0.0.1:3000" }]
balance = "consistent-hash"
[[routes]]
upstream = "app"
"#), @r#"
    error[C014]: unknown balance policy `consistent-hash`
     --> tidegate.toml:5:11
      |
    5 | balance = "consistent-hash"
      |           ^^^^^^^^^^^^^^^^^ expected one of: least_request, round_robin, random, peak_ewma
      |
      = help: did you mean `consistent_hash`? It is not available yet
    "#);
}

#[test]
fn a_policy_of_a_later_version_is_not_available_yet() {
    insta::assert_snapshot!(errors(r#"[[listeners]]
bind = "127.0.0.1:8080"
[upstreams.app]
endpoints = [{ address = "127.0.0.1:3000" }]
balance = { consistent_hash = "client_ip" }
[[routes]]
upstream = "app"
"#), @r#"
    error[C016]: `balance` = `consistent_hash` is not available yet
     --> tidegate.toml:5:11
      |
    5 | balance = { consistent_hash = "client_ip" }
      |           ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ expected one of: least_request, round_robin, random, peak_ewma
    "#);
}

#[test]
fn an_unknown_key_names_the_nearest() {
    insta::assert_snapshot!(errors(r#"[[listeners]]
bind = "127.0.0.1:8080"
[upstreams.app]
endpoints = [{ address = "127.0.0.1:3000" }]
conect_timeout = "1s"
[[routes]]
upstream = "app"
"#), @r#"
    error[C010]: unknown key `conect_timeout` in [upstreams.NAME]
     --> tidegate.toml:5:1
      |
    5 | conect_timeout = "1s"
      | ^^^^^^^^^^^^^^ expected one of: balance, concurrency, connect_timeout, dns, ejection, endpoints, first_byte_timeout, groups, health, host, idle_timeout, max_connection_age, overprovisioning, panic_threshold, protocol, slow_start, tls
      |
      = help: did you mean `connect_timeout`?
    "#);
}

#[test]
fn a_key_in_the_wrong_table_names_the_right_one() {
    insta::assert_snapshot!(errors(r#"[[listeners]]
bind = "127.0.0.1:8080"
[upstreams.app]
endpoints = [{ address = "127.0.0.1:3000" }]
max_body = "1MiB"
[[routes]]
upstream = "app"
"#), @r#"
    error[C010]: unknown key `max_body` in [upstreams.NAME]
     --> tidegate.toml:5:1
      |
    5 | max_body = "1MiB"
      | ^^^^^^^^ expected one of: balance, concurrency, connect_timeout, dns, ejection, endpoints, first_byte_timeout, groups, health, host, idle_timeout, max_connection_age, overprovisioning, panic_threshold, protocol, slow_start, tls
      |
      = help: `max_body` belongs to [[routes]] or [upstreams.NAME.health]
    "#);
}

#[test]
fn a_name_server_is_given_by_its_address_and_a_service_without_a_port() {
    insta::assert_snapshot!(errors(r#"[[listeners]]
bind = "127.0.0.1:8080"
[dns]
servers = ["tls://cloudflare-dns.com"]
[upstreams.app]
endpoints = [{ srv = "_http._tcp.shop.internal:80" }]
[[routes]]
upstream = "app"
"#), @r#"
    error[C015]: `servers` must be an address like "127.0.0.1:53", or a URL like "tls://192.0.2.1#dns.example"
     --> tidegate.toml:4:12
      |
    4 | servers = ["tls://cloudflare-dns.com"]
      |            ^^^^^^^^^^^^^^^^^^^^^^^^^^ a name server is given by its address
      |
      = help: the name that its certificate holds goes to the end: "tls://192.0.2.1#dns.example"
    error[C015]: `srv` must be the name of a service, like "_http._tcp.shop.internal"
     --> tidegate.toml:6:22
      |
    6 | endpoints = [{ srv = "_http._tcp.shop.internal:80" }]
      |                      ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ the records say the port
      |
      = help: write "_http._tcp.shop.internal"
    "#);
}

#[test]
fn an_endpoint_needs_one_source() {
    insta::assert_snapshot!(errors(r#"[[listeners]]
bind = "127.0.0.1:8080"
[upstreams.app]
endpoints = [{ weight = 2 }]
[[routes]]
upstream = "app"
"#), @r#"
    error[C017]: an endpoint needs one of: address, dns, srv
     --> tidegate.toml:4:14
      |
    4 | endpoints = [{ weight = 2 }]
      |              ^^^^^^^^^^^^^^ none of them is here
    "#);
}

#[test]
fn an_endpoint_has_only_one_source() {
    insta::assert_snapshot!(errors(r#"[[listeners]]
bind = "127.0.0.1:8080"
[upstreams.app]
endpoints = [{ address = "10.0.0.1:80", dns = "a.internal:80" }]
[[routes]]
upstream = "app"
"#), @r#"
    error[C017]: `dns` and `address` exclude each other
     --> tidegate.toml:4:41
      |
    4 | endpoints = [{ address = "10.0.0.1:80", dns = "a.internal:80" }]
      |                -------                  ^^^ keep one of the two
      |                |
      |                `address` is here
    "#);
}

#[test]
fn a_name_is_not_an_address() {
    insta::assert_snapshot!(errors(r#"[[listeners]]
bind = "127.0.0.1:8080"
[upstreams.app]
endpoints = [{ address = "localhost:3000" }]
[[routes]]
upstream = "app"
"#), @r#"
    error[C015]: `address` must be an IP address with a port, like "10.0.0.11:8080"
     --> tidegate.toml:4:26
      |
    4 | endpoints = [{ address = "localhost:3000" }]
      |                          ^^^^^^^^^^^^^^^^ this is a name
      |
      = help: a name is given with another key: dns = "localhost:3000"
    "#);
}

#[test]
fn an_endpoint_is_given_once() {
    insta::assert_snapshot!(errors(r#"[[listeners]]
bind = "127.0.0.1:8080"
[upstreams.app]
endpoints = [{ address = "10.0.0.1:80" }, { address = "10.0.0.1:80" }]
[[routes]]
upstream = "app"
"#), @r#"
    error[C022]: this endpoint is given twice
     --> tidegate.toml:4:55
      |
    4 | endpoints = [{ address = "10.0.0.1:80" }, { address = "10.0.0.1:80" }]
      |                          -------------                ^^^^^^^^^^^^^ given again here
      |                          |
      |                          first given here
      |
      = help: for a larger share give it a `weight`
    "#);
}

#[test]
fn a_duration_needs_a_unit() {
    insta::assert_snapshot!(errors(r#"[[listeners]]
bind = "127.0.0.1:8080"
[upstreams.app]
endpoints = [{ address = "127.0.0.1:3000" }]
[[routes]]
upstream = "app"
timeout = 250
"#), @r#"
    error[C011]: `timeout` must be a duration like "5s", or "off"
     --> tidegate.toml:7:11
      |
    7 | timeout = 250
      |           ^^^ expected a duration like "5s", or "off", found a whole number
      |
      = help: a duration needs a unit: "250s" or "250ms"
    "#);
}

#[test]
fn a_duration_has_one_unit() {
    insta::assert_snapshot!(errors(r#"[[listeners]]
bind = "127.0.0.1:8080"
[upstreams.app]
endpoints = [{ address = "127.0.0.1:3000" }]
[[routes]]
upstream = "app"
timeout = "1m30s"
"#), @r#"
    error[C015]: `timeout` must be a duration like "5s", or "off"
     --> tidegate.toml:7:11
      |
    7 | timeout = "1m30s"
      |           ^^^^^^^ one whole number with one unit
      |
      = help: write "90s"
    "#);
}

#[test]
fn a_duration_has_bounds() {
    insta::assert_snapshot!(errors(r#"[[listeners]]
bind = "127.0.0.1:8080"
[upstreams.app]
endpoints = [{ address = "127.0.0.1:3000" }]
connect_timeout = "0s"
[[routes]]
upstream = "app"
"#), @r#"
    error[C013]: `connect_timeout` is out of bounds
     --> tidegate.toml:5:19
      |
    5 | connect_timeout = "0s"
      |                   ^^^^ expected "1ms" to "1m"
    "#);
}

#[test]
fn a_size_needs_a_known_unit() {
    insta::assert_snapshot!(errors(r#"[[listeners]]
bind = "127.0.0.1:8080"
[upstreams.app]
endpoints = [{ address = "127.0.0.1:3000" }]
[[routes]]
upstream = "app"
max_body = "10MByte"
"#), @r#"
    error[C015]: `max_body` must be a size like "64KiB", or "off"
     --> tidegate.toml:7:12
      |
    7 | max_body = "10MByte"
      |            ^^^^^^^^^ units are B, KB, KiB, MB, MiB, GB and GiB
    "#);
}

#[test]
fn a_number_has_bounds() {
    insta::assert_snapshot!(errors(r#"[[listeners]]
bind = "127.0.0.1:8080"
[upstreams.app]
endpoints = [{ address = "127.0.0.1:3000" }]
[[routes]]
upstream = "app"
retry = { attempts = 11 }
"#), @r#"
    error[C013]: `attempts` is out of bounds
     --> tidegate.toml:7:22
      |
    7 | retry = { attempts = 11 }
      |                      ^^ expected 1 to 10
    "#);
}

#[test]
fn a_text_is_not_a_list() {
    insta::assert_snapshot!(errors(r#"[[listeners]]
bind = "127.0.0.1:8080"
[upstreams.app]
endpoints = [{ address = "127.0.0.1:3000" }]
[[routes]]
upstream = "app"
hosts = "shop.example"
"#), @r#"
    error[C011]: `hosts` must be a list
     --> tidegate.toml:7:9
      |
    7 | hosts = "shop.example"
      |         ^^^^^^^^^^^^^^ expected a list, found text
      |
      = help: put it in brackets: ["..."]
    "#);
}

#[test]
fn a_host_has_no_port() {
    insta::assert_snapshot!(errors(r#"[[listeners]]
bind = "127.0.0.1:8080"
[upstreams.app]
endpoints = [{ address = "127.0.0.1:3000" }]
[[routes]]
upstream = "app"
hosts = ["shop.example:443"]
"#), @r#"
    error[C015]: `hosts` must be a host like "shop.example.com" or "*.example.com"
     --> tidegate.toml:7:10
      |
    7 | hosts = ["shop.example:443"]
      |          ^^^^^^^^^^^^^^^^^^ a host has no port here
      |
      = help: write "shop.example"
    "#);
}

#[test]
fn a_path_is_in_normal_form() {
    insta::assert_snapshot!(errors(r#"[[listeners]]
bind = "127.0.0.1:8080"
[upstreams.app]
endpoints = [{ address = "127.0.0.1:3000" }]
[[routes]]
upstream = "app"
path = "/a/../%62"
"#), @r#"
    error[C015]: `path` must be a path like "/shop"
     --> tidegate.toml:7:8
      |
    7 | path = "/a/../%62"
      |        ^^^^^^^^^^^ requests are matched in normal form
      |
      = help: write "/b"
    "#);
}

#[test]
fn path_and_prefix_exclude_each_other() {
    insta::assert_snapshot!(errors(r#"[[listeners]]
bind = "127.0.0.1:8080"
[upstreams.app]
endpoints = [{ address = "127.0.0.1:3000" }]
[[routes]]
upstream = "app"
path = "/a"
path_prefix = "/b"
"#), @r#"
    error[C017]: `path_prefix` and `path` exclude each other
     --> tidegate.toml:8:1
      |
    7 | path = "/a"
      | ---- `path` is here
    8 | path_prefix = "/b"
      | ^^^^^^^^^^^ keep one of the two
    "#);
}

#[test]
fn a_route_does_one_thing() {
    insta::assert_snapshot!(errors(r#"[[listeners]]
bind = "127.0.0.1:8080"
[upstreams.app]
endpoints = [{ address = "127.0.0.1:3000" }]
[[routes]]
upstream = "app"
respond = { status = 200 }
"#), @r#"
    error[C017]: `respond` and `upstream` exclude each other
     --> tidegate.toml:7:1
      |
    6 | upstream = "app"
      | -------- `upstream` is here
    7 | respond = { status = 200 }
      | ^^^^^^^ keep one of the two
    "#);
}

#[test]
fn a_route_does_something() {
    insta::assert_snapshot!(errors(r#"[[listeners]]
bind = "127.0.0.1:0"
[[routes]]
path = "/a"
"#), @r#"
    error[C017]: [[routes]] needs one of: upstream, split, respond, redirect
     --> tidegate.toml:3:1
      |
    3 | [[routes]]
      | ^^^^^^^^^^ none of them is here
    "#);
}

#[test]
fn an_unknown_upstream_names_the_nearest() {
    insta::assert_snapshot!(errors(r#"[[listeners]]
bind = "127.0.0.1:0"
[upstreams.shop]
endpoints = [{ address = "10.0.0.1:80" }]
[[routes]]
upstream = "shpo"
"#), @r#"
    error[C021]: there is no upstream `shpo`
     --> tidegate.toml:6:12
      |
    6 | upstream = "shpo"
      |            ^^^^^^ expected one of: shop
      |
      = help: did you mean `shop`?
    "#);
}

#[test]
fn a_wait_is_not_longer_than_the_route() {
    insta::assert_snapshot!(errors(r#"[[listeners]]
bind = "127.0.0.1:0"
[upstreams.shop]
endpoints = [{ address = "10.0.0.1:80" }]
concurrency = { mode = "fixed", limit = 8, queue = { max_waiting = 64, max_wait = "5s" } }
[[routes]]
name = "checkout"
upstream = "shop"
timeout = "3s"
"#), @r#"
    error[C022]: `max_wait` is longer than the timeout of route `checkout`, which uses this upstream
     --> tidegate.toml:5:83
      |
    5 | concurrency = { mode = "fixed", limit = 8, queue = { max_waiting = 64, max_wait = "5s" } }
      |                                                                                   ^^^^ at most "3s"
    ...
    9 | timeout = "3s"
      |           ---- the route gives up here
    "#);
}

#[test]
fn a_route_is_not_shorter_than_the_default_wait() {
    insta::assert_snapshot!(errors(r#"[[listeners]]
bind = "127.0.0.1:0"
[upstreams.shop]
endpoints = [{ address = "10.0.0.1:80" }]
concurrency = { mode = "fixed", limit = 8 }
[[routes]]
upstream = "shop"
timeout = "50ms"
"#), @r#"
    error[C022]: a request may wait for a place of `shop` longer than this
     --> tidegate.toml:8:11
      |
    8 | timeout = "50ms"
      |           ^^^^^^ at least "100ms"
      |
      = help: or give queue = { max_wait = "50ms" } in [upstreams.shop.concurrency]
    "#);
}

#[test]
fn equal_routes_point_at_each_other() {
    insta::assert_snapshot!(errors(r#"[[listeners]]
bind = "127.0.0.1:8080"
[upstreams.app]
endpoints = [{ address = "127.0.0.1:3000" }]
[[routes]]
upstream = "app"
name = "one"
hosts = ["a.example", "b.example"]
[[routes]]
name = "other"
hosts = ["b.example"]
respond = {}
"#), @r#"
    error[C023]: routes `one` and `other` take the same requests
     --> tidegate.toml:9:1
      |
    5 | [[routes]]
      | ---------- route `one`
    ...
    9 | [[routes]]
      | ^^^^^^^^^^ nothing tells them apart
      |
      = help: the order in the file means nothing: give one of them another condition
    "#);
}

#[test]
fn two_listeners_want_one_address() {
    insta::assert_snapshot!(errors(r#"[[listeners]]
name = "a"
bind = "0.0.0.0:8080"
[[listeners]]
name = "b"
bind = "127.0.0.1:8080"
"#), @r#"
    error[C024]: two listeners on one address
     --> tidegate.toml:6:8
      |
    3 | bind = "0.0.0.0:8080"
      |        -------------- taken here
    ...
    6 | bind = "127.0.0.1:8080"
      |        ^^^^^^^^^^^^^^^^ the address is taken
    "#);
}

#[test]
fn the_admin_listener_wants_an_address_of_its_own() {
    insta::assert_snapshot!(errors(r#"[[listeners]]
bind = "127.0.0.1:9900"
"#), @r#"
    error[C024]: the admin listener wants the same address
     --> tidegate.toml:2:8
      |
    2 | bind = "127.0.0.1:9900"
      |        ^^^^^^^^^^^^^^^^ the address is taken
      |
      = help: [admin] binds to 127.0.0.1:9900 where the file says nothing
    "#);
}

#[test]
fn an_open_admin_listener_needs_a_token() {
    insta::assert_snapshot!(errors(r#"[[listeners]]
bind = "127.0.0.1:8080"
[upstreams.app]
endpoints = [{ address = "127.0.0.1:3000" }]
[[routes]]
upstream = "app"
[admin]
bind = "0.0.0.0:9900"
"#), @r#"
    error[C025]: the admin listener is open to others and asks for no token
     --> tidegate.toml:8:8
      |
    8 | bind = "0.0.0.0:9900"
      |        ^^^^^^^^^^^^^^ not a loopback address
      |
      = help: add `token_file`, or bind to 127.0.0.1
    "#);
}

#[test]
fn several_routes_need_names() {
    insta::assert_snapshot!(errors(r#"[[listeners]]
bind = "127.0.0.1:8080"
[upstreams.app]
endpoints = [{ address = "127.0.0.1:3000" }]
[[routes]]
upstream = "app"
path = "/a"
[[routes]]
name = "b"
upstream = "app"
"#), @r#"
    error[C020]: this route has no name
     --> tidegate.toml:5:1
      |
    5 | [[routes]]
      | ^^^^^^^^^^ expected `name`
      |
      = help: only a single route may go without one
    "#);
}

#[test]
fn names_are_taken_once() {
    insta::assert_snapshot!(errors(r#"[[listeners]]
bind = "127.0.0.1:8080"
[upstreams.app]
endpoints = [{ address = "127.0.0.1:3000" }]
[[routes]]
upstream = "app"
name = "a"
path = "/a"
[[routes]]
name = "a"
upstream = "app"
"#), @r#"
    error[C020]: two routes are named `a`
      --> tidegate.toml:10:8
       |
     7 | name = "a"
       |        --- taken here
    ...
    10 | name = "a"
       |        ^^^ the name is taken
    "#);
}

#[test]
fn a_split_gives_somebody_something() {
    insta::assert_snapshot!(errors(r#"[[listeners]]
bind = "127.0.0.1:0"
[upstreams.a]
endpoints = [{ address = "10.0.0.1:80" }]
[[routes]]
split = [{ upstream = "a", weight = 0 }]
"#), @r#"
    error[C022]: all weights are 0: nobody gets a request
     --> tidegate.toml:6:1
      |
    6 | split = [{ upstream = "a", weight = 0 }]
      | ^^^^^ at least one weight above 0
    "#);
}

#[test]
fn rate_limits_of_one_key_need_names() {
    insta::assert_snapshot!(errors(r#"[[listeners]]
bind = "127.0.0.1:8080"
[upstreams.app]
endpoints = [{ address = "127.0.0.1:3000" }]
[[routes]]
upstream = "app"
[[routes.rate_limits]]
rate = "5/s"
[[routes.rate_limits]]
rate = "100/h"
"#), @r#"
    error[C020]: two rate limits of this route are named `client_ip`
     --> tidegate.toml:9:1
      |
    7 | [[routes.rate_limits]]
      | ---------------------- taken here
    8 | rate = "5/s"
    9 | [[routes.rate_limits]]
      | ^^^^^^^^^^^^^^^^^^^^^^ the name is taken
      |
      = help: give each a `name` of its own; without one it is the key
    "#);
}

#[test]
fn a_rate_has_a_unit() {
    insta::assert_snapshot!(errors(r#"[[listeners]]
bind = "127.0.0.1:8080"
[upstreams.app]
endpoints = [{ address = "127.0.0.1:3000" }]
[[routes]]
upstream = "app"
[[routes.rate_limits]]
rate = "200"
"#), @r#"
    error[C015]: `rate` must be a rate like "200/s", "30/m" or "1000/h"
     --> tidegate.toml:8:8
      |
    8 | rate = "200"
      |        ^^^^^ expected a rate like "200/s", "30/m" or "1000/h"
      |
      = help: a rate needs a unit: "200/s"
    "#);
}

#[test]
fn a_fixed_limit_needs_its_number() {
    insta::assert_snapshot!(errors(r#"[[listeners]]
bind = "127.0.0.1:8080"
[upstreams.app]
endpoints = [{ address = "127.0.0.1:3000" }]
concurrency = { mode = "fixed" }
[[routes]]
upstream = "app"
"#), @r#"
    error[C012]: a fixed concurrency limit has no `limit`
     --> tidegate.toml:5:24
      |
    5 | concurrency = { mode = "fixed" }
      |                        ^^^^^^^ expected `limit` beside it
      |
      = help: add limit = 64, or as many requests as the upstream can work on at once
    "#);
}

#[test]
fn a_check_ends_before_the_next() {
    insta::assert_snapshot!(errors(r#"[[listeners]]
bind = "127.0.0.1:8080"
[upstreams.app]
endpoints = [{ address = "127.0.0.1:3000" }]
health = { interval = "500ms" }
[[routes]]
upstream = "app"
"#), @r#"
    error[C022]: `timeout` is longer than `interval`
     --> tidegate.toml:5:23
      |
    5 | health = { interval = "500ms" }
      |                       ^^^^^^^ at least "1s"
      |
      = help: `timeout` is "1s" where it is left out
    "#);
}

#[test]
fn a_required_proxy_header_needs_a_trusted_proxy() {
    insta::assert_snapshot!(errors(r#"[[listeners]]
bind = "127.0.0.1:0"
proxy_protocol = true
"#), @r#"
    error[C022]: `proxy_protocol` without `trusted_proxies` lets nobody in
     --> tidegate.toml:3:1
      |
    3 | proxy_protocol = true
      | ^^^^^^^^^^^^^^ a header is required from trusted proxies, others are closed
      |
      = help: add trusted_proxies = ["10.0.0.0/8"], or the networks of your proxies
    "#);
}

#[test]
fn a_stripped_prefix_is_one_that_the_route_takes() {
    insta::assert_snapshot!(errors(r#"[[listeners]]
bind = "127.0.0.1:8080"
[upstreams.app]
endpoints = [{ address = "127.0.0.1:3000" }]
[[routes]]
upstream = "app"
path_prefix = "/shop"
strip_prefix = "/api"
"#), @r#"
    error[C022]: no path that this route takes begins with this
     --> tidegate.toml:8:16
      |
    7 | path_prefix = "/shop"
      | ----------- the paths that it takes
    8 | strip_prefix = "/api"
      |                ^^^^^^ never cut off
    "#);
}

#[test]
fn a_framing_header_is_not_changed() {
    insta::assert_snapshot!(errors(r#"[[listeners]]
bind = "127.0.0.1:8080"
[upstreams.app]
endpoints = [{ address = "127.0.0.1:3000" }]
[[routes]]
upstream = "app"
request_headers = { set = { Content-Length = "0" } }
"#), @r#"
    error[C022]: `content-length` cannot be changed
     --> tidegate.toml:7:29
      |
    7 | request_headers = { set = { Content-Length = "0" } }
      |                             ^^^^^^^^^^^^^^ it frames the message, or belongs to one connection
    "#);
}

#[test]
fn a_redirect_stays_on_its_host() {
    insta::assert_snapshot!(errors(r#"[[listeners]]
bind = "127.0.0.1:0"
[[routes]]
redirect = { to = "/{path}" }
"#), @r#"
    error[C015]: `to` must be a path like "/new", or a URL like "https://example.com{path}"
     --> tidegate.toml:4:19
      |
    4 | redirect = { to = "/{path}" }
      |                   ^^^^^^^^^ two slashes at the start lead to another host
    "#);
}

#[test]
fn a_list_of_tables_has_two_brackets() {
    insta::assert_snapshot!(errors(r#"[listeners]
bind = "127.0.0.1:0"
"#), @r#"
    error[C011]: `listeners` must be a list of tables
     --> tidegate.toml:1:1
      |
    1 | [listeners]
      | ^^^^^^^^^^^ expected a list of tables, found a table
      |
      = help: write it as `[[listeners]]`
    "#);
}

#[test]
fn a_key_is_given_once() {
    insta::assert_snapshot!(errors(r#"[[listeners]]
bind = "127.0.0.1:8080"
[upstreams.app]
endpoints = [{ address = "127.0.0.1:3000" }]
host = "preserve"
host = "upstream"
[[routes]]
upstream = "app"
"#), @r#"
    error[C004]: `host` is given twice
     --> tidegate.toml:6:1
      |
    5 | host = "preserve"
      | ---- first given here
    6 | host = "upstream"
      | ^^^^ given again here
    "#);
}

#[test]
fn a_table_is_given_once() {
    insta::assert_snapshot!(errors(r#"[[listeners]]
bind = "127.0.0.1:8080"
[upstreams.app]
endpoints = [{ address = "127.0.0.1:3000" }]
[[routes]]
upstream = "app"
[upstreams.app]
endpoints = []
"#), @r#"
    error[C004]: `app` is given twice
     --> tidegate.toml:7:12
      |
    3 | [upstreams.app]
      |            --- first given here
    ...
    7 | [upstreams.app]
      |            ^^^ given again here
    error[C004]: `endpoints` is given twice
     --> tidegate.toml:8:1
      |
    8 | endpoints = []
      | ^^^^^^^^^ given again here
    "#);
}

#[test]
fn a_file_that_is_not_there_is_told_where_it_is_named() {
    insta::assert_snapshot!(errors(r#"[[listeners]]
bind = "127.0.0.1:8080"
[upstreams.app]
endpoints = [{ address = "127.0.0.1:3000" }]
tls = { ca = "no/such/ca.crt" }
[[routes]]
upstream = "app"
"#), @r#"
    error[C030]: no/such/ca.crt cannot be read: there is no such file
     --> tidegate.toml:5:14
      |
    5 | tls = { ca = "no/such/ca.crt" }
      |              ^^^^^^^^^^^^^^^^ there is no such file
    "#);
}

#[test]
fn letters_beyond_ascii_keep_the_underline_in_place() {
    insta::assert_snapshot!(errors(r#"[[listeners]]
bind = "127.0.0.1:0"  # für alle
[[routes]]
name = "größe"
respond = {}
"#), @r#"
    error[C015]: `name` must be a name like "checkout"
     --> tidegate.toml:4:8
      |
    4 | name = "größe"
      |        ^^^^^^^ a name has letters, digits, `-`, `_` and dots
    "#);
}

#[test]
fn an_endpoint_that_is_a_listener_is_dangerous() {
    insta::assert_snapshot!(warnings(r#"[[listeners]]
bind = "0.0.0.0:8080"
[upstreams.me]
endpoints = [{ address = "127.0.0.1:8080" }]
[[routes]]
upstream = "me"
"#), @r#"
    warning[C041]: this endpoint is a listener of the gateway's own: requests go in circles
     --> tidegate.toml:4:26
      |
    2 | bind = "0.0.0.0:8080"
      |        -------------- the listener
    3 | [upstreams.me]
    4 | endpoints = [{ address = "127.0.0.1:8080" }]
      |                          ^^^^^^^^^^^^^^^^ leads back here
    "#);
}

#[test]
fn a_route_without_an_end_is_dangerous() {
    insta::assert_snapshot!(warnings(r#"[[listeners]]
bind = "127.0.0.1:8080"
[upstreams.app]
endpoints = [{ address = "127.0.0.1:3000" }]
[[routes]]
upstream = "app"
timeout = "off"
"#), @r#"
    warning[C041]: a route without a timeout holds its place as long as its upstream likes
     --> tidegate.toml:7:11
      |
    7 | timeout = "off"
      |           ^^^^^ no end
    "#);
}

#[test]
fn an_upstream_that_nobody_uses_is_doubtful() {
    insta::assert_snapshot!(warnings(r#"[[listeners]]
bind = "127.0.0.1:0"
[upstreams.old]
endpoints = [{ address = "10.0.0.1:80" }]
[[routes]]
respond = {}
"#), @r#"
    warning[C040]: no route uses upstream `old`
     --> tidegate.toml:3:12
      |
    3 | [upstreams.old]
      |            ^^^
    "#);
}

#[test]
fn a_proxy_that_is_everybody_is_dangerous() {
    insta::assert_snapshot!(warnings(r#"[[listeners]]
bind = "127.0.0.1:0"
trusted_proxies = ["0.0.0.0/0", "10.0.0.1/8"]
[[routes]]
respond = {}
"#), @r#"
    warning[C041]: `0.0.0.0/0` trusts every client
     --> tidegate.toml:3:1
      |
    3 | trusted_proxies = ["0.0.0.0/0", "10.0.0.1/8"]
      | ^^^^^^^^^^^^^^^ anybody may say which address they come from
    warning[C040]: this network has bits beyond its prefix
     --> tidegate.toml:3:33
      |
    3 | trusted_proxies = ["0.0.0.0/0", "10.0.0.1/8"]
      |                                 ^^^^^^^^^^^^ read as "10.0.0.0/8"
    "#);
}

#[test]
fn a_file_without_routes_is_doubtful() {
    insta::assert_snapshot!(warnings(r#"[[listeners]]
bind = "127.0.0.1:0"
"#), @r#"
    warning[C040]: the file has no routes: every request is answered with 404
    --> tidegate.toml
    "#);
}

/// Wrong in many places.
const WRONG: &str = r#"[admim]
bind = "0.0.0.0:9900"

[[listeners]]
bind = "8080"
header_timeout = 10
trusted_proxys = ["10.0.0.0/8"]

[upstreams.shop]
endpoints = [{ adress = "10.0.0.11:8080" }, { dns = "10.0.0.12:8080", weight = 0 }]
protocol = "http2"
connect_timeout = "1sec"
ejection = { base_time = "10m" }

[[routes]]
name = "checkout"
path_prefix = "checkout"
methods = ["get", "CONNECT"]
upstream = "shops"
priority = "urgent"
retry = { on = ["conect", 503] }

[[routes]]
name = "checkout"
path = "/a//b"
redirect = { status = 304, to = "shop.example.com" }
timeout = "never"

[[routes.rate_limits]]
rate = "1.5/s"
key = "X-Tenant"
"#;

#[test]
fn all_errors_of_a_file_are_told_at_once_in_its_order() {
    let errors = read(WRONG).expect_err("it is wrong in many places");
    let told: Vec<_> = errors
        .iter()
        .map(|error| {
            let place = error.line().zip(error.column()).unwrap_or_default();
            format!(
                "{}:{} {} {}",
                place.0,
                place.1,
                error.code(),
                error.message()
            )
        })
        .collect();
    let told = format!("{}\n{} in all", told.join("\n"), errors.len());
    insta::assert_snapshot!(told, @r#"
    1:2 C010 unknown key `admim` in the file
    5:8 C015 `bind` must be an address with a port, like "0.0.0.0:8080"
    6:18 C011 `header_timeout` must be a duration like "250ms" or "5s"
    7:1 C010 unknown key `trusted_proxys` in [[listeners]]
    10:16 C010 unknown key `adress` in an endpoint
    10:53 C015 `dns` must be a name with a port, like "shop.internal:8080"
    10:80 C013 `weight` is out of bounds
    11:12 C014 unknown protocol `http2`
    12:19 C015 `connect_timeout` must be a duration like "250ms" or "5s"
    13:26 C022 `base_time` is longer than `max_time`
    17:15 C015 `path_prefix` must be a path like "/shop"
    18:12 C015 `methods` must be a method like "GET"
    18:19 C015 `methods` must be a method like "GET"
    19:12 C021 there is no upstream `shops`
    20:12 C014 unknown priority `urgent`
    21:17 C014 unknown retry reason `conect`
    21:27 C011 `on` must be one of: connect, reset, timeout, 502, 503, 504
    24:8 C020 two routes are named `checkout`
    25:8 C015 `path` must be a path like "/shop"
    26:23 C013 304 does not redirect
    24 in all
    "#);
}

#[test]
fn broken_lines_hide_only_what_hangs_on_them() {
    insta::assert_snapshot!(errors(r#"[[listeners]]
bind = "127.0.0.1:0
header_timeout = 10
[[routes]]
timeout = 5s
upstream = "app"
max_body = "5"
"#), @r#"
    error[C003]: not valid TOML: invalid basic string
     --> tidegate.toml:2:20
      |
    2 | bind = "127.0.0.1:0
      |                    ^ expected `"`
    error[C011]: `header_timeout` must be a duration like "250ms" or "5s"
     --> tidegate.toml:3:18
      |
    3 | header_timeout = 10
      |                  ^^ expected a duration like "250ms" or "5s", found a whole number
      |
      = help: a duration needs a unit: "10s" or "10ms"
    error[C003]: not valid TOML: string values must be quoted
     --> tidegate.toml:5:11
      |
    5 | timeout = 5s
      |           ^^ expected literal string
    error[C015]: `max_body` must be a size like "64KiB", or "off"
     --> tidegate.toml:7:12
      |
    7 | max_body = "5"
      |            ^^^ expected a size like "64KiB", or "off"
      |
      = help: a size needs a unit: "5B" or "5KiB"
    "#);
}

#[test]
fn twenty_errors_are_shown_and_the_rest_counted() {
    let keys: String = ('a'..='z')
        .flat_map(|letter| [letter, letter, letter, ' ', '=', '1', '\n'])
        .collect();
    let errors = read(&keys).expect_err("no key is known");
    let shown = errors.to_string();
    assert_eq!(errors.len(), 27);
    assert_eq!(shown.matches("error[").count(), 20);
    assert!(shown.ends_with("\nand 7 more errors"), "{shown}");
}

#[test]
fn a_diagnostic_is_told_to_programs_in_its_parts() {
    let errors =
        read("[[listeners]]\nbind = \"127.0.0.1:0\"\n  bnd = 1\n").expect_err("a key is unknown");
    let json = serde_json::to_value(&errors).expect("it can be written");
    let expected = serde_json::json!([{
        "severity": "error",
        "code": "C010",
        "message": "unknown key `bnd` in [[listeners]]",
        "expected": "expected one of: bind, body_timeout, header_timeout, idle_timeout, max_connections, max_header, name, proxy_protocol, tls, trusted_proxies, tunnel_idle_timeout",
        "help": "did you mean `bind`?",
        "file": "tidegate.toml",
        "line": 3,
        "column": 3,
    }]);
    assert_eq!(json, expected);
}

#[test]
fn colour_is_there_only_where_it_is_asked_for() {
    let errors = read("x = 1").expect_err("the key is unknown");
    assert!(errors.render(true).contains('\u{1b}'));
    assert!(!errors.render(false).contains('\u{1b}'));
}

#[test]
fn an_authority_for_name_servers_that_are_asked_in_the_clear_has_no_effect() {
    insta::assert_snapshot!(warnings(r#"[[listeners]]
bind = "127.0.0.1:8080"
[dns]
servers = ["10.0.0.2", "tcp://10.0.0.3"]
ca = "tls/dns-ca.crt"
[[routes]]
respond = {}
"#), @r#"
    warning[C040]: no name server here is asked over TLS
     --> tidegate.toml:5:6
      |
    5 | ca = "tls/dns-ca.crt"
      |      ^^^^^^^^^^^^^^^^ has no effect
      |
      = help: servers that are begin with `tls://` or `https://`
    "#);
}
