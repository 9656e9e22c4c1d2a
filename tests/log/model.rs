//! Random appends, alone and several at once, answered by the log as by a simple model of it.
//!
//! Of appends that were submitted at once, *some* order must explain all answers to the letter, and the next ones
//! start from there; all orders are tried. In the end everything that can be read must be what the model holds.

mod script;
mod simple;

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use porttask_runtime::log::{Append, AppendError, Appended, EventId, EventLog, OrganizationId, Version};
use porttask_tests::{Engine, Settings, Store, holder_of, page_to_end, runtime, simple as append_to, value_of};
use proptest::test_runner::{Config, FileFailurePersistence, TestCaseError, TestRunner};

use self::script::{Names, Step, scripts};
use self::simple::{Answer, Model};

/// Random scripts per engine. One that failed is kept in `model.regressions` and tried first from then on.
const CASES: u32 = 64;
const REGRESSIONS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/log/model.regressions");
const CASE_LIMIT: Duration = Duration::from_secs(60);

#[test]
fn the_log_on_sqlite_answers_like_the_model() {
    the_log_answers_like_the_model(Engine::Sqlite, 1, Settings::default());
}

#[test]
fn the_log_on_postgres_answers_like_the_model() {
    the_log_answers_like_the_model(Engine::Postgres, 1, Settings::default());
}

#[test]
fn the_log_on_postgres_with_one_partition_answers_like_the_model() {
    the_log_answers_like_the_model(Engine::Postgres, 2, Settings { partitions: Some(1), ..Settings::default() });
}

#[test]
fn two_nodes_on_sqlite_answer_like_the_model() {
    the_log_answers_like_the_model(Engine::Sqlite, 2, Settings::default());
}

#[test]
fn two_nodes_on_postgres_answer_like_the_model() {
    the_log_answers_like_the_model(Engine::Postgres, 2, Settings::default());
}

fn the_log_answers_like_the_model(engine: Engine, nodes: usize, settings: Settings) {
    let store = Store::fresh(engine);
    let runtime = runtime();
    let nodes: Vec<_> = (0..nodes).map(|_| runtime.block_on(store.open_with(settings))).collect();
    let persistence = FileFailurePersistence::Direct(REGRESSIONS);
    let config = Config { cases: CASES, failure_persistence: Some(Box::new(persistence)), ..Config::default() };
    let outcome = TestRunner::new(config).run(&scripts(), |script| {
        let played = runtime.block_on(async { tokio::time::timeout(CASE_LIMIT, play(&nodes, &script)).await });
        played.unwrap_or_else(|_| Err("the log hangs".to_owned())).map_err(TestCaseError::fail)
    });
    runtime.shutdown_background();
    if let Err(failure) = outcome {
        panic!("{failure}");
    }
}

/// Plays a script with new organizations and names on a log that others have used, and compares every answer. The
/// nodes take turns.
async fn play(nodes: &[Arc<dyn EventLog>], script: &[Vec<Step>]) -> Result<(), String> {
    let names = Names::new();
    let log = &nodes[0];
    let mut models = vec![Model::over(log.heads().await.unwrap())];
    let mut turns = nodes.iter().cycle();
    for group in script {
        let appends: Vec<Append> = group.iter().map(|step| step.append(&names, &models[0])).collect();
        let submitted = appends.iter().cloned().zip(&mut turns).map(|(append, node)| {
            let node = Arc::clone(node);
            tokio::spawn(async move { node.append(append).await })
        });
        let answers: Vec<_> = join_all(submitted).await.into_iter().map(Result::unwrap).collect();
        for organization in names.organizations {
            if let Some(home) = log.partition_of(organization).await.unwrap() {
                models.iter_mut().for_each(|model| _ = model.homes.insert(organization, home));
            }
        }
        models = explained(&models, &appends, &answers)?;
    }
    for node in nodes {
        let mut differences = Vec::new();
        for model in &models {
            differences.extend(compare(&**node, &names, model).await.err());
        }
        if differences.len() == models.len() {
            return Err(differences.join("; or "));
        }
    }
    Ok(())
}

/// The models after these appends in every order that explains the answers. Answers alone may not tell the order: of two
/// partitions, one gives a name of the platform back and the other takes it for the one who held it, both in vain or not.
fn explained(
    models: &[Model],
    appends: &[Append],
    answers: &[Result<Appended, AppendError>],
) -> Result<Vec<Model>, String> {
    let answers: Vec<Result<Answer, AppendError>> =
        answers.iter().map(|answer| answer.as_ref().map(Answer::of).map_err(Clone::clone)).collect();
    let mut explaining: Vec<Model> = Vec::new();
    for (model, order) in models.iter().flat_map(|model| orders(appends.len()).into_iter().map(move |it| (model, it))) {
        let mut after = model.clone();
        let explains = order.iter().all(|index| after.answer(&appends[*index]) == answers[*index]);
        if explains && !explaining.contains(&after) {
            explaining.push(after);
        }
    }
    if !explaining.is_empty() {
        return Ok(explaining);
    }
    let mut expected = models[0].clone();
    let expected: Vec<_> = appends.iter().map(|append| expected.answer(append)).collect();
    Err(format!("no order explains these answers: {answers:#?}\nto {appends:#?}\nin turn they were: {expected:#?}"))
}

/// All orders of `count` things.
fn orders(count: usize) -> Vec<Vec<usize>> {
    let Some(last) = count.checked_sub(1) else { return vec![vec![]] };
    let with_last = |order: Vec<usize>| {
        (0..=last).map(move |place| {
            let mut longer = order.clone();
            longer.insert(place, last);
            longer
        })
    };
    orders(last).into_iter().flat_map(with_last).collect()
}

/// Compares everything that can be read with what the model holds.
async fn compare(log: &dyn EventLog, names: &Names, model: &Model) -> Result<(), String> {
    let differ = |what: String, read: String, held: String| Err(format!("{what} is {read}, should be {held}"));
    for (partition, (start, events)) in &model.partitions {
        let read = page_to_end(log, *partition, *start, 7).await;
        let read: Vec<EventId> = read.iter().map(|event| event.id).collect();
        if read != *events {
            return differ(format!("partition {partition}"), format!("{read:?}"), format!("{events:?}"));
        }
    }
    for stream in names.streams() {
        let events = log.read_stream(&stream, Version::NONE, 1_000).await.unwrap();
        let read: Vec<EventId> = events.iter().map(|event| event.id).collect();
        let held = model.streams.get(&stream).cloned().unwrap_or_default();
        let version = log.versions(std::slice::from_ref(&stream)).await.unwrap()[0];
        if read != held || version != Version(held.len() as u64) || !events.iter().all(|event| event.is_intact()) {
            return differ(stream.to_string(), format!("{read:?} at {version}"), format!("{held:?}"));
        }
    }
    for owner in names.organizations.into_iter().filter(|owner| model.homes.contains_key(owner)) {
        for name in names.constrained() {
            let (read, held) = (holder_of(log, owner, &name).await, model.holder(owner, &name));
            if read != held {
                return differ(format!("the holder of {name}"), format!("{read:?}"), format!("{held:?}"));
            }
            let (read, held) = (value_of(log, owner, &name).await, model.value(owner, &name));
            if read != held {
                return differ(format!("the count {name}"), read.to_string(), held.to_string());
            }
        }
    }
    for ((organization, idempotency_key), mark) in model.marks.iter().filter(|(_, mark)| mark.counts) {
        let mut another = append_to(*organization, "never")
            .idempotency_key(porttask_tests::idempotency_key(idempotency_key.as_str(), "never"));
        another.events.truncate(1);
        let read = log.append(another).await;
        if read != Err(AppendError::AnotherRequest) {
            return differ(format!("the mark {idempotency_key}"), format!("{read:?}"), format!("{mark:?}"));
        }
    }
    Ok(())
}

#[test]
fn orders_that_answers_do_not_tell_apart_are_all_kept() {
    let (here, there) = (porttask_runtime::log::PartitionId(0), porttask_runtime::log::PartitionId(1));
    let organization = porttask_runtime::new_id::<OrganizationId>();
    let mut model = Model::over(vec![]);
    model.homes.extend([(OrganizationId::PLATFORM, here), (organization, there)]);
    let name = |change: fn(OrganizationId, &str, &str) -> porttask_runtime::log::Constraint| {
        change(OrganizationId::PLATFORM, "a", "0")
    };
    let creates_organization =
        append_to(organization, "s").creates_organization().constrained(name(porttask_tests::claim));
    model.answer(&creates_organization).unwrap();
    let give_back = append_to(organization, "s").constrained(name(porttask_tests::release));
    let take = append_to(OrganizationId::PLATFORM, "s").constrained(name(porttask_tests::claim));
    let answer = |append: &Append| {
        let Answer { position, events, repeated } = model.clone().answer(append).unwrap();
        Ok(Appended { position, events, recorded_at: jiff::Timestamp::UNIX_EPOCH, repeated })
    };
    let answers = [answer(&give_back), answer(&take)];
    let after = explained(std::slice::from_ref(&model), &[give_back, take], &answers).unwrap();
    let holders: Vec<_> = after.iter().map(|model| model.holder(OrganizationId::PLATFORM, "a")).collect();
    assert_eq!(holders.len(), 2);
    assert!(holders.contains(&None) && holders.contains(&Some("0".to_owned())), "{holders:?}");
}

#[test]
fn every_order_is_tried() {
    assert_eq!(orders(0), [Vec::<usize>::new()]);
    let mut all = orders(4);
    all.sort();
    all.dedup();
    assert_eq!(all.len(), 24);
}

#[test]
fn a_wrong_answer_is_not_explained() {
    let names = Names::new();
    let mut model = Model::over(vec![]);
    model.homes.insert(OrganizationId::PLATFORM, porttask_runtime::log::PartitionId(0));
    let name = names.streams().next().unwrap().name;
    let append = append_to(OrganizationId::PLATFORM, name.as_str());
    let answer = model.clone().answer(&append).unwrap();
    let recorded_at = jiff::Timestamp::UNIX_EPOCH;
    let right = Appended { position: answer.position, events: answer.events, recorded_at, repeated: false };
    let with = |answer| explained(std::slice::from_ref(&model), std::slice::from_ref(&append), &[answer]);
    assert!(with(Ok(right.clone())).is_ok());
    let mut elsewhere = right.clone();
    elsewhere.events[0].version = Version(2);
    assert!(with(Ok(elsewhere)).is_err());
    assert!(with(Ok(Appended { repeated: true, ..right })).is_err());
    assert!(with(Err(AppendError::AnotherRequest)).is_err());
}
