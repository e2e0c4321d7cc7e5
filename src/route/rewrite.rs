//! How a route changes the path on its way to the upstream.

use crate::config::{PathMatch, RewritePlan};

/// The path that the upstream sees instead of `path`, which is in normal form and was taken by `matcher`.
///
/// Only whole segments are cut; a path without the prefix stays as it is. The result begins with exactly one
/// slash, so it never reads as `//host`. The `*` of `OPTIONS *` is not a path and stays.
#[must_use]
pub fn rewrite(plan: &RewritePlan, matcher: &PathMatch, path: &str) -> String {
    if !path.starts_with('/') {
        return path.to_owned();
    }
    let (new, rest) = match plan {
        RewritePlan::StripPrefix(prefix) => ("", behind(path, prefix)),
        RewritePlan::ReplacePrefix(new) => {
            let (PathMatch::Exact(old) | PathMatch::Prefix(old)) = matcher;
            (new.as_ref(), behind(path, old))
        }
    };
    match rest {
        Some(rest) => joined(new, rest),
        None => path.to_owned(),
    }
}

/// What stands behind `prefix`, if that ends on a segment border of `path`: nothing, or text with a slash first.
fn behind<'p>(path: &'p str, prefix: &str) -> Option<&'p str> {
    let rest = path.strip_prefix(prefix.trim_end_matches('/'))?;
    (rest.is_empty() || rest.starts_with('/')).then_some(rest)
}

fn joined(new: &str, rest: &str) -> String {
    let new = new.trim_start_matches('/');
    let new = if rest.is_empty() {
        new
    } else {
        new.trim_end_matches('/')
    };
    let mut path = String::with_capacity(1 + new.len() + rest.len());
    if !new.is_empty() || rest.is_empty() {
        path.push('/');
    }
    path.push_str(new);
    path.push_str(rest);
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strip(prefix: &str, path: &str) -> String {
        let plan = RewritePlan::StripPrefix(prefix.into());
        rewrite(&plan, &PathMatch::default(), path)
    }

    fn replace(old: &str, new: &str, path: &str) -> String {
        let plan = RewritePlan::ReplacePrefix(new.into());
        rewrite(&plan, &PathMatch::Prefix(old.into()), path)
    }

    #[test]
    fn stripping_cuts_whole_segments() {
        assert_eq!(strip("/api", "/api/users"), "/users");
        assert_eq!(strip("/api", "/api"), "/");
        assert_eq!(strip("/api", "/api/"), "/");
        assert_eq!(strip("/api/", "/api/users/"), "/users/");
        assert_eq!(strip("/api", "/apix"), "/apix");
        assert_eq!(strip("/api", "/other"), "/other");
        assert_eq!(strip("", "/a"), "/a");
        assert_eq!(strip("/", "/a"), "/a");
    }

    #[test]
    fn replacing_puts_one_slash_between() {
        assert_eq!(replace("/api", "/v2", "/api/users"), "/v2/users");
        assert_eq!(replace("/api", "/v2/", "/api/users"), "/v2/users");
        assert_eq!(replace("/api", "/v2/", "/api"), "/v2/");
        assert_eq!(replace("/api", "/", "/api/users"), "/users");
        assert_eq!(replace("/api", "/", "/api"), "/");
        assert_eq!(replace("", "/v2", "/users"), "/v2/users");
        assert_eq!(replace("", "/v2", "/"), "/v2/");
        assert_eq!(replace("/api", "v2", "/api/x"), "/v2/x");
    }

    #[test]
    fn an_exact_path_is_replaced_whole() {
        let plan = RewritePlan::ReplacePrefix("/new".into());
        let matcher = PathMatch::Exact("/old".into());
        assert_eq!(rewrite(&plan, &matcher, "/old"), "/new");
    }

    #[test]
    fn no_result_reads_as_another_host() {
        assert_eq!(
            replace("/api", "//evil.example", "/api/x"),
            "/evil.example/x"
        );
        assert_eq!(replace("/api", "///", "/api/x"), "/x");
        assert_eq!(replace("/api", "///", "/api"), "/");
    }

    #[test]
    fn the_asterisk_stays() {
        assert_eq!(replace("", "/v2", "*"), "*");
    }
}
