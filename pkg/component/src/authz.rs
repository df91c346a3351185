//! Is the user allowed? Asked of the API server by SubjectAccessReview, answers kept for a while
//! (upstream `apiserver/pkg/authorization/authorizerfactory` `DelegatingAuthorizerConfig`).

use std::collections::BTreeMap;
use std::time::Duration;

use client::{Api, Client};
use k8s_openapi::api::authorization::v1::{
    NonResourceAttributes, ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec,
};

use crate::answers::Answers;
use crate::authn::User;

/// What is to be done, in the words of RBAC.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Attributes {
    /// A path that is no resource.
    Path {
        /// Lower-case HTTP method.
        verb: String,
        /// Without the query.
        path: String,
    },
    /// An API resource.
    Resource {
        /// `get`, `create`, `proxy`, ...
        verb: String,
        /// Empty for the core group.
        group: String,
        /// `v1`, or `*`.
        version: String,
        /// Plural name.
        resource: String,
        /// Empty when it is the resource itself.
        subresource: String,
        /// Empty for cluster scope.
        namespace: String,
        /// Empty for all.
        name: String,
    },
}

/// The API server's verdict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// True: go on.
    pub allowed: bool,
    /// What the authorizer said about it.
    pub reason: String,
}

/// An authorizer that asks the API server.
pub struct Delegated {
    client: Option<Client>,
    always_allow: Vec<String>,
    answers: Answers<(String, Vec<String>, Attributes), Decision>,
}

impl Delegated {
    /// `client` asks (none: everything not always allowed is refused); `always_allow` are the paths of
    /// `--authorization-always-allow-paths`, a trailing `*` allowing what follows.
    #[must_use]
    pub fn new(client: Option<Client>, always_allow: Vec<String>, allowed_ttl: Duration, denied_ttl: Duration) -> Self {
        Self {
            client,
            always_allow,
            answers: Answers::new(allowed_ttl, denied_ttl),
        }
    }

    /// True when a path needs no question, hence no credentials either.
    #[must_use]
    pub fn always_allows(&self, path: &str) -> bool {
        let path = path.trim_start_matches('/');
        self.always_allow.iter().any(|rule| {
            let rule = rule.trim_start_matches('/');
            match rule.strip_suffix('*') {
                Some(prefix) => path.starts_with(prefix),
                None => path == rule,
            }
        })
    }

    /// May the user do this?
    ///
    /// # Errors
    /// The API server could not be asked; its error's text. Answer 500, or refuse.
    pub async fn authorize(&self, user: &User, attributes: &Attributes) -> Result<Decision, String> {
        if user.groups.iter().any(|group| group == "system:masters") {
            return Ok(Decision {
                allowed: true,
                reason: String::new(),
            });
        }
        if matches!(attributes, Attributes::Path { path, .. } if self.always_allows(path)) {
            return Ok(Decision {
                allowed: true,
                reason: String::new(),
            });
        }
        let Some(client) = self.client.clone() else {
            return Ok(Decision {
                allowed: false,
                reason: String::new(),
            });
        };
        let key = (user.name.clone(), user.groups.clone(), attributes.clone());
        if let Some(answer) = self.answers.get(&key) {
            return Ok(answer);
        }
        let review = SubjectAccessReview {
            spec: spec(user, attributes),
            ..SubjectAccessReview::default()
        };
        let status = Api::<SubjectAccessReview>::all(client)
            .create(&review)
            .await
            .map_err(|error| error.to_string())?
            .status
            .unwrap_or_default();
        let decision = Decision {
            allowed: status.allowed,
            reason: status.reason.unwrap_or_default(),
        };
        self.answers.put(key, decision.clone(), decision.allowed);
        Ok(decision)
    }
}

fn spec(user: &User, attributes: &Attributes) -> SubjectAccessReviewSpec {
    let mut spec = SubjectAccessReviewSpec {
        user: Some(user.name.clone()),
        uid: Some(user.uid.clone()).filter(|uid| !uid.is_empty()),
        groups: Some(user.groups.clone()),
        extra: (!user.extra.is_empty()).then(|| {
            user.extra
                .iter()
                .map(|(k, v)| (k.clone(), v.clone()))
                .collect::<BTreeMap<_, _>>()
        }),
        ..SubjectAccessReviewSpec::default()
    };
    let some = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
    match attributes {
        Attributes::Path { verb, path } => {
            spec.non_resource_attributes = Some(NonResourceAttributes {
                path: some(path),
                verb: some(verb),
            });
        }
        Attributes::Resource {
            verb,
            group,
            version,
            resource,
            subresource,
            namespace,
            name,
        } => {
            spec.resource_attributes = Some(ResourceAttributes {
                verb: some(verb),
                group: some(group),
                version: some(version),
                resource: some(resource),
                subresource: some(subresource),
                namespace: some(namespace),
                name: some(name),
                ..ResourceAttributes::default()
            });
        }
    }
    spec
}
