//! What must be seen of a fault: by its client, in the access log, among the metrics, and by who asks for an explanation.

use http::StatusCode;
use serde_json::Value;

use crate::{
    proxy_status,
    scene::{Played, Scene, Seen, Told},
    support::{client, client::Reply, gateway::TestGateway, until},
};

/// The words of a scene's row.
struct Row {
    status: u16,
    name: &'static str,
    reason: Option<&'static str>,
    cause: &'static str,
    stage: &'static str,
    begun_by: &'static str,
}

/// Fails where something that is told differs from the scene's row.
pub async fn check(scene: &Scene, played: Played) {
    let row = Row::of(scene.row);
    let Played { gate, seen } = played;
    let id = match (&seen, scene.told) {
        (Seen::Answer(reply), Told::Problem | Told::Page | Told::Grpc(_)) => {
            check_answer(scene, &row, reply);
            Some(reply.header("x-request-id").to_owned()).filter(|id| !id.is_empty())
        }
        (Seen::Cut, Told::Cut) | (Seen::Nothing, Told::Nothing) => None,
        (seen, told) => panic!("the client got {seen:?} instead of {told:?}"),
    };
    let line = logged(&gate, &row, id.as_deref()).await;
    check_line(&row, &line);
    check_metric(&gate, &row, &line).await;
    let id = line["request_id"].as_str().expect("the line has an id");
    check_explanation(scene, &row, &gate, id).await;
}

fn check_answer(scene: &Scene, row: &Row, reply: &Reply) {
    let told = proxy_status::read(reply.header("proxy-status"));
    assert_eq!(told.proxy, "tidegate");
    assert_eq!(told.tokens["error"], row.name);
    assert_eq!(told.tokens["cause"], row.cause);
    let shed = scene.kind.shed_reason().is_some();
    let reason = told.tokens.get("reason").map(String::as_str);
    assert_eq!(reason, row.reason.filter(|_| shed), "{told:?}");
    assert!(told.strings.is_empty(), "details are not shown: {told:?}");
    let (id, title) = (reply.header("x-request-id"), scene.kind.facts().title);
    let is_a_panic = row.reason == Some("panic"); // whose trail is gone when it is answered
    assert!(is_a_panic || !id.is_empty());
    match scene.told {
        Told::Grpc(code) => {
            assert_eq!(reply.status, StatusCode::OK);
            assert_eq!(reply.header("grpc-status"), code.to_string());
            return;
        }
        Told::Page => {
            assert!(reply.header("content-type").starts_with("text/html"));
            let page = reply.text().replace("&#39;", "'");
            assert!(page.contains(title) && page.contains(id), "{page}");
        }
        _ => {
            assert_eq!(reply.header("content-type"), "application/problem+json");
            let body: Value = serde_json::from_slice(&reply.body).expect("JSON");
            assert_eq!(body["status"], row.status);
            assert_eq!(body["title"], title);
            assert_eq!(body["cause"], row.cause);
            assert_eq!(body["reason"], row.reason.unwrap_or(row.name));
            assert_eq!(body["type"], format!("urn:ietf:rfc:9209#{}", row.name));
            assert_eq!(body["request_id"], id);
        }
    }
    assert_eq!(reply.status.as_u16(), row.status);
    if matches!(row.status, 429 | 503) {
        let wait = reply.header("retry-after").parse::<u64>();
        assert!(wait.is_ok_and(|seconds| seconds >= 1), "{reply:?}");
    }
}

/// The scene's line of the access log: by its id where the client got one.
async fn logged(gate: &TestGateway, row: &Row, id: Option<&str>) -> Value {
    line(gate, |line| match id {
        Some(id) => line["request_id"] == *id,
        None => line["kind"] == *row.name && line["reason"].as_str() == row.reason,
    })
    .await
}

/// The last line of the access log that `is` right, once it is there.
pub async fn line(gate: &TestGateway, is: impl Fn(&Value) -> bool) -> Value {
    let path = gate.path().with_file_name("access.log");
    let text = || std::fs::read_to_string(&path).unwrap_or_default();
    let find = || {
        let text = text();
        let lines = text.lines().map(serde_json::from_str::<Value>);
        lines.filter_map(Result::ok).filter(|line| is(line)).last()
    };
    let waiting = until("the access log has a line of it", || find().is_some());
    let came = tokio::time::timeout(client::GENEROUS / 2, waiting).await;
    assert!(came.is_ok(), "no such line in\n{}", text());
    find().expect("it is there")
}

/// What is told of the request of this id.
pub async fn explained(gate: &TestGateway, id: &str) -> Value {
    let told = client::admin(gate.admin, &format!("/api/v1/requests/{id}")).await;
    assert_eq!(told.status, StatusCode::OK, "{told:?}");
    serde_json::from_slice(&told.body).expect("JSON")
}

fn check_line(row: &Row, line: &Value) {
    assert_eq!(line["kind"], row.name, "{line}");
    assert_eq!(line["reason"].as_str(), row.reason, "{line}");
    assert_eq!(line["cause"], row.cause, "{line}");
    assert_eq!(line["stage"], row.stage, "{line}");
}

async fn check_metric(gate: &TestGateway, row: &Row, line: &Value) {
    let word = |key: &str| line[key].as_str().expect("a word").to_owned();
    let series = format!(
        "tidegate_faults_total{{route=\"{}\",upstream=\"{}\",cause=\"{}\",kind=\"{}\",stage=\"{}\"}}",
        word("route"),
        word("upstream"),
        row.cause,
        row.name,
        row.stage
    );
    let counted = gate.metric(&series).await;
    assert!(counted >= 1.0, "{series} is {counted}");
}

async fn check_explanation(scene: &Scene, row: &Row, gate: &TestGateway, id: &str) {
    let view = explained(gate, id).await;
    let fault = &view["request"]["fault"];
    assert_eq!(fault["kind"], row.name);
    assert_eq!(fault["reason"].as_str(), row.reason);
    assert_eq!(fault["begun_by"], row.begun_by);
    let sentence = view["verdict"]["sentence"].as_str().expect("a sentence");
    let word = match row.reason {
        Some(reason) => format!("{}/{reason}", row.name),
        None => row.name.to_owned(),
    };
    // The cause may be told finer, by what went on around it.
    let begins = format!("{} Cause: ", scene.kind.facts().title);
    assert!(sentence.starts_with(&begins), "{sentence}");
    let names = format!("kind {word}, seen at stage {}", row.stage);
    assert!(sentence.contains(&names), "{sentence} lacks {names}");
    let next = view["verdict"]["next"].as_array();
    assert!(next.is_some_and(|steps| !steps.is_empty()), "{view}");
}

// === impl Row ===

impl Row {
    fn of(text: &'static str) -> Self {
        let words: Vec<_> = text.split(' ').collect();
        let [status, kind, cause, stage, begun_by] = words[..] else {
            panic!("{text:?} has another number of words than five");
        };
        let (name, reason) = kind.split_once('/').expect("NAME/REASON");
        Self {
            status: status.parse().expect("a status"),
            name,
            reason: (reason != "-").then_some(reason),
            cause,
            stage,
            begun_by,
        }
    }
}
