//! Tokens of a file (`--token-auth-file`): a line of token, user name, uid and optionally groups.
//!
//! Upstream: `apiserver/pkg/authentication/token/tokenfile`, wrapped for the server's own audiences
//! (`authenticator.WrapAudienceAgnosticToken`).

use std::collections::HashMap;
use std::path::Path;

use async_trait::async_trait;

use super::{Proven, TokenAuthenticator};
use crate::request::UserInfo;

/// The tokens of a file, read at start.
pub(crate) struct TokenFile {
    users: HashMap<String, UserInfo>,
    api_audiences: Vec<String>,
}

impl TokenFile {
    /// Reads a file. The error is upstream's text.
    pub(crate) fn load(path: &Path, api_audiences: &[String]) -> Result<Self, String> {
        let text = std::fs::read_to_string(path).map_err(|e| match e.kind() {
            std::io::ErrorKind::NotFound => format!("open {}: no such file or directory", path.display()),
            _ => format!("open {}: {e}", path.display()),
        })?;
        Ok(TokenFile {
            users: parse(&text, &path.display().to_string())?,
            api_audiences: api_audiences.to_vec(),
        })
    }
}

fn parse(text: &str, path: &str) -> Result<HashMap<String, UserInfo>, String> {
    let mut users = HashMap::new();
    let lines = text.lines().filter(|line| !line.is_empty());
    for (number, line) in (1..).zip(lines) {
        let columns = component::flags::split_list(line);
        if columns.len() < 3 {
            return Err(format!(
                "token file '{path}' must have at least 3 columns (token, user name, user uid), found {}",
                columns.len()
            ));
        }
        let mut columns = columns.into_iter();
        let mut next = || columns.next().unwrap_or_default();
        let (token, name, uid, groups) = (next(), next(), next(), next());
        if token.is_empty() {
            tracing::warn!("empty token has been found in token file '{path}', record number '{number}'");
            continue;
        }
        let groups = groups.split(',').filter(|_| !groups.is_empty());
        let user = UserInfo {
            name,
            uid,
            groups: groups.map(str::to_owned).collect(),
            ..Default::default()
        };
        if users.insert(token, user).is_some() {
            tracing::warn!("duplicate token has been found in token file '{path}', record number '{number}'");
        }
    }
    Ok(users)
}

#[async_trait]
impl TokenAuthenticator for TokenFile {
    async fn authenticate(&self, token: &str, audiences: &[String]) -> Result<Option<Proven>, String> {
        let Some(user) = self.users.get(token) else {
            return Ok(None);
        };
        let both: Vec<String> = audiences
            .iter()
            .filter(|a| self.api_audiences.contains(a))
            .cloned()
            .collect();
        if !audiences.is_empty() && both.is_empty() {
            return Ok(None);
        }
        Ok(Some(Proven {
            user: user.clone(),
            audiences: both,
            warnings: vec![],
        }))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_line_is_a_user_for_the_servers_own_audiences() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let text = "t1,jane,u1,\"dev,ops\"\nt2,joe,u2\n\n,nobody,u3\nt2,jim,u4\n";
        std::fs::write(file.path(), text).unwrap();
        let tokens = TokenFile::load(file.path(), &["api".to_owned()]).unwrap();
        let jane = tokens.authenticate("t1", &[]).await.unwrap().unwrap().user;
        assert_eq!(
            (jane.name.as_str(), jane.uid.as_str(), jane.groups),
            ("jane", "u1", vec!["dev".to_owned(), "ops".to_owned()])
        );
        let jim = tokens.authenticate("t2", &["api".to_owned(), "x".to_owned()]).await;
        let jim = jim.unwrap().unwrap();
        assert_eq!((jim.user.name.as_str(), jim.audiences), ("jim", vec!["api".to_owned()]));
        assert_eq!(jim.user.groups, [] as [&str; 0]);
        assert!(tokens.authenticate("t1", &["x".to_owned()]).await.unwrap().is_none());
        for token in ["", "t3"] {
            assert!(tokens.authenticate(token, &[]).await.unwrap().is_none());
        }
    }

    #[test]
    fn a_broken_file_is_named() {
        assert_eq!(
            parse("a,b\n", "f").unwrap_err(),
            "token file 'f' must have at least 3 columns (token, user name, user uid), found 2"
        );
        let e = TokenFile::load(Path::new("/nope"), &[]).err().unwrap();
        assert_eq!(e, "open /nope: no such file or directory");
    }
}
