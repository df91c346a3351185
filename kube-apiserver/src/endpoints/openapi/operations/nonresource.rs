//! Discovery, version and keys.

use super::{Content, OBJECT, Operation, Paths, tag, title};

/// `/api/`
pub(in crate::endpoints::openapi) fn api_versions() -> Paths {
    let description = "get available API versions";
    let answer = Content::Type("meta.v1.APIVersions".to_owned());
    one("/api/", "getCoreAPIVersions", description, "core", OBJECT, answer)
}

/// `/apis/`
pub(in crate::endpoints::openapi) fn groups() -> Paths {
    let description = "get available API versions";
    let answer = Content::Type("meta.v1.APIGroupList".to_owned());
    one("/apis/", "getAPIVersions", description, "apis", OBJECT, answer)
}

/// `/apis/<group>/`
pub(in crate::endpoints::openapi) fn group(group: &str) -> Paths {
    let id = format!("get{}APIGroup", title(group, ""));
    let answer = Content::Type("meta.v1.APIGroup".to_owned());
    let path = format!("/apis/{group}/");
    one(
        &path,
        &id,
        "get information of a group",
        &tag(group, ""),
        OBJECT,
        answer,
    )
}

/// `/version/`
pub(in crate::endpoints::openapi) fn version() -> Paths {
    let description = "get the version information for this server";
    let answer = Content::Type("version.Info".to_owned());
    one(
        "/version/",
        "getCodeVersion",
        description,
        "version",
        &["application/json"],
        answer,
    )
}

/// `/.well-known/openid-configuration/`
pub(in crate::endpoints::openapi) fn openid_configuration() -> Paths {
    let path = "/.well-known/openid-configuration/";
    let description = "get service account issuer OpenID configuration, also known as the 'OIDC discovery doc'";
    let id = "getServiceAccountIssuerOpenIDConfiguration";
    one(path, id, description, "WellKnown", &["application/json"], Content::Text)
}

/// `/openid/v1/jwks/`
pub(in crate::endpoints::openapi) fn keys() -> Paths {
    let description = "get service account issuer OpenID JSON Web Key Set (contains public token verification keys)";
    let id = "getServiceAccountIssuerOpenIDKeyset";
    let media = &["application/jwk-set+json"];
    one("/openid/v1/jwks/", id, description, "openid", media, Content::Text)
}

/// A document with one GET.
fn one(path: &str, id: &str, description: &str, tag: &str, media: &'static [&'static str], answer: Content) -> Paths {
    Paths::from([(path.to_owned(), vec![get(id, description, tag, media, answer)])])
}

/// A GET without parameters.
pub(super) fn get(
    id: &str,
    description: &str,
    tag: &str,
    media: &'static [&'static str],
    answer: Content,
) -> Operation {
    Operation {
        method: "get",
        id: id.to_owned(),
        description: description.to_owned(),
        tag: tag.to_owned(),
        action: None,
        kind: None,
        parameters: Vec::new(),
        body: None,
        // The documents of OpenID take nothing.
        consumes: if matches!(answer, Content::Text) { &[] } else { media },
        produces: media.to_vec(),
        answers: vec![(200, answer)],
    }
}
