//! Webhook configurations.

use apimachinery::field::{Error, ErrorList, Path};
use apimachinery::validation::is_fully_qualified_name;
use k8s_openapi::api::admissionregistration::v1::{
    MatchCondition, MutatingWebhook, MutatingWebhookConfiguration, RuleWithOperations, ValidatingWebhook,
    ValidatingWebhookConfiguration, WebhookClientConfig,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};

use super::conditions::match_conditions;
use super::rules::{FAILURE_POLICIES, MATCH_POLICIES, REINVOCATION_POLICIES, rule};
use crate::check::{
    WebhookService, equal, invalid_each, is_review_version, list, one_of, review_versions, webhook_client,
};
use crate::meta;

/// Side effects a new webhook may have (`noSideEffectClasses`), sorted.
const NO_SIDE_EFFECTS: [&str; 2] = ["None", "NoneOnDryRun"];
/// Side effects there were (`supportedSideEffectClasses`), sorted.
const SIDE_EFFECTS: [&str; 4] = ["None", "NoneOnDryRun", "Some", "Unknown"];
/// Longest time to wait for a webhook, in seconds.
const TIMEOUT_MAX: i32 = 30;

/// What both kinds of webhooks have.
struct Hook<'a> {
    name: &'a str,
    client: &'a WebhookClientConfig,
    rules: &'a [RuleWithOperations],
    failure_policy: Option<&'a String>,
    match_policy: Option<&'a String>,
    side_effects: &'a str,
    timeout_seconds: Option<i32>,
    namespaces: Option<&'a LabelSelector>,
    objects: Option<&'a LabelSelector>,
    /// Of mutating webhooks.
    reinvocation_policy: Option<&'a String>,
    conditions: &'a [MatchCondition],
    review_versions: &'a [String],
}

/// The two kinds differ in the last field only.
macro_rules! hook {
    ($kind:ty, |$hook:ident| $reinvocation:expr) => {
        impl<'a> From<&'a $kind> for Hook<'a> {
            fn from($hook: &'a $kind) -> Self {
                Hook {
                    name: &$hook.name,
                    client: &$hook.client_config,
                    rules: list(&$hook.rules),
                    failure_policy: $hook.failure_policy.as_ref(),
                    match_policy: $hook.match_policy.as_ref(),
                    side_effects: &$hook.side_effects,
                    timeout_seconds: $hook.timeout_seconds,
                    namespaces: $hook.namespace_selector.as_ref(),
                    objects: $hook.object_selector.as_ref(),
                    conditions: list(&$hook.match_conditions),
                    review_versions: &$hook.admission_review_versions,
                    reinvocation_policy: $reinvocation,
                }
            }
        }
    };
}
hook!(ValidatingWebhook, |hook| None);
hook!(MutatingWebhook, |hook| hook.reinvocation_policy.as_ref());

/// Which rules an update is spared, because the stored object broke them (`validationOptions`).
#[derive(Clone, Copy)]
struct Options {
    conditions: bool,
    no_side_effects: bool,
    recognized_versions: bool,
    unique_names: bool,
    any_label_values: bool,
}

impl Options {
    const CREATE: Options = Options {
        conditions: true,
        no_side_effects: true,
        recognized_versions: true,
        unique_names: true,
        any_label_values: false,
    };

    fn update(new: &[Hook<'_>], old: &[Hook<'_>]) -> Self {
        let same = |(new, old): (&Hook<'_>, &Hook<'_>)| equal(&new.conditions, &old.conditions);
        let bad = |selector: Option<&LabelSelector>| {
            let mut errs = vec![];
            meta::label_selector(&mut errs, selector, &Path::root());
            !errs.is_empty()
        };
        Options {
            conditions: new.len() != old.len() || !new.iter().zip(old).all(same),
            no_side_effects: old.iter().all(|h| NO_SIDE_EFFECTS.contains(&h.side_effects)),
            recognized_versions: old
                .iter()
                .all(|h| h.review_versions.is_empty() || h.review_versions.iter().any(|v| is_review_version(v))),
            unique_names: (0..old.len()).all(|i| old[..i].iter().all(|h| h.name != old[i].name)),
            any_label_values: old.iter().any(|h| bad(h.namespaces) || bad(h.objects)),
        }
    }
}

/// A new configuration (`ValidateValidatingWebhookConfiguration`).
pub fn validating_webhook_configuration_create(obj: &ValidatingWebhookConfiguration) -> ErrorList {
    create(&obj.metadata, &hooks(list(&obj.webhooks)))
}

/// A changed configuration (`ValidateValidatingWebhookConfigurationUpdate`).
pub fn validating_webhook_configuration_update(
    new: &ValidatingWebhookConfiguration,
    old: &ValidatingWebhookConfiguration,
) -> ErrorList {
    let (hooks, before) = (hooks(list(&new.webhooks)), hooks(list(&old.webhooks)));
    update(&new.metadata, &hooks, &before)
}

/// A new configuration (`ValidateMutatingWebhookConfiguration`).
pub fn mutating_webhook_configuration_create(obj: &MutatingWebhookConfiguration) -> ErrorList {
    create(&obj.metadata, &hooks(list(&obj.webhooks)))
}

/// A changed configuration (`ValidateMutatingWebhookConfigurationUpdate`).
pub fn mutating_webhook_configuration_update(
    new: &MutatingWebhookConfiguration,
    old: &MutatingWebhookConfiguration,
) -> ErrorList {
    let (hooks, before) = (hooks(list(&new.webhooks)), hooks(list(&old.webhooks)));
    update(&new.metadata, &hooks, &before)
}

fn hooks<'a, T>(all: &'a [T]) -> Vec<Hook<'a>>
where
    Hook<'a>: From<&'a T>,
{
    all.iter().map(Hook::from).collect()
}

fn create(metadata: &ObjectMeta, hooks: &[Hook<'_>]) -> ErrorList {
    let mut errs = meta::create_generic(metadata, false, meta::name_subdomain);
    webhooks(&mut errs, hooks, Options::CREATE);
    errs
}

fn update(metadata: &ObjectMeta, hooks: &[Hook<'_>], before: &[Hook<'_>]) -> ErrorList {
    let mut errs = meta::create_generic(metadata, false, meta::name_subdomain);
    webhooks(&mut errs, hooks, Options::update(hooks, before));
    errs
}

/// `validateValidatingWebhookConfiguration`, `validateMutatingWebhookConfiguration`.
fn webhooks(errs: &mut ErrorList, hooks: &[Hook<'_>], options: Options) {
    for (index, hook) in hooks.iter().enumerate() {
        let path = Path::new("webhooks").index(index);
        webhook(errs, hook, options, &path);
        let versions = path.child("admissionReviewVersions");
        let missing = "must specify one of v1, v1beta1";
        review_versions(
            errs,
            hook.review_versions,
            options.recognized_versions,
            missing,
            &versions,
        );
        let again = hooks[..index].iter().any(|h| h.name == hook.name);
        if options.unique_names && !hook.name.is_empty() && again {
            errs.push(Error::duplicate(&path.child("name"), hook.name));
        }
    }
}

/// `validateValidatingWebhook`, `validateMutatingWebhook`.
fn webhook(errs: &mut ErrorList, hook: &Hook<'_>, options: Options, path: &Path) {
    let name = path.child("name");
    if hook.name.is_empty() {
        errs.push(Error::required(&name, ""));
    } else {
        invalid_each(errs, &name, hook.name, is_fully_qualified_name(hook.name));
    }
    for (index, one) in hook.rules.iter().enumerate() {
        rule(errs, one, &path.child("rules").index(index));
    }
    if let Some(policy) = hook.failure_policy {
        one_of(errs, &path.child("failurePolicy"), policy, &FAILURE_POLICIES);
    }
    if let Some(policy) = hook.match_policy {
        one_of(errs, &path.child("matchPolicy"), policy, &MATCH_POLICIES);
    }
    let allowed = if options.no_side_effects {
        &NO_SIDE_EFFECTS[..]
    } else {
        &SIDE_EFFECTS[..]
    };
    let at = path.child("sideEffects");
    if hook.side_effects.is_empty() {
        let rule = format!("must specify one of {}", allowed.join(", "));
        errs.push(Error::required(&at, rule));
    } else {
        one_of(errs, &at, hook.side_effects, allowed);
    }
    if let Some(seconds) = hook.timeout_seconds.filter(|s| !(1..=TIMEOUT_MAX).contains(s)) {
        let rule = "the timeout value must be between 1 and 30 seconds";
        errs.push(Error::invalid(&path.child("timeoutSeconds"), seconds, rule));
    }
    for (field, selector) in [("namespaceSelector", hook.namespaces), ("objectSelector", hook.objects)] {
        let before = errs.len();
        meta::label_selector(errs, selector, &path.child(field));
        if options.any_label_values {
            // What no label can have as a value may stay, because it was let in once.
            let mut index = 0;
            errs.retain(|e| {
                index += 1;
                index <= before || !e.field.contains(".values[")
            });
        }
    }
    if let Some(policy) = hook.reinvocation_policy {
        let path = path.child("reinvocationPolicy");
        one_of(errs, &path, policy, &REINVOCATION_POLICIES);
    }
    let service = hook.client.service.as_ref().map(|service| WebhookService {
        namespace: &service.namespace,
        name: &service.name,
        path: service.path.as_ref(),
        port: service.port.unwrap_or(0),
    });
    webhook_client(errs, hook.client.url.as_deref(), service, &path.child("clientConfig"));
    if options.conditions {
        match_conditions(errs, hook.conditions, &path.child("matchConditions"));
    }
}
