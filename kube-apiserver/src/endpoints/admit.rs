//! Admission as the store calls it: the chain of plugins, bound to one request.

use apimachinery::meta;
use apimachinery::status::Result;
use async_trait::async_trait;
use serde_json::Value;

use super::{Api, owner_references};
use crate::admission::{Attributes, Operation};
use crate::registry::Hooks;
use crate::request::{RequestContext, RequestInfo};

/// The chain for one request.
pub(crate) struct Admit<'a> {
    api: &'a Api,
    ctx: &'a RequestContext,
    operation: Operation,
    creates: bool,
}

impl<'a> Admit<'a> {
    /// Binds the server's admission to a request.
    pub(crate) fn new(api: &'a Api, ctx: &'a RequestContext, operation: Operation) -> Self {
        Admit {
            api,
            ctx,
            operation,
            creates: false,
        }
    }

    /// Whether an update of an object that is not there creates it, whatever the kind says.
    pub(crate) fn creating(self, creates: bool) -> Self {
        Admit { creates, ..self }
    }

    /// A PUT or PATCH that creates needs the right to create (upstream `withAuthorization`).
    async fn authorize_create(&self, old: Option<&Value>) -> Result<()> {
        if self.operation != Operation::Update || old.is_some() {
            return Ok(());
        }
        let info = RequestInfo {
            verb: "create".to_owned(),
            ..self.ctx.info.clone()
        };
        self.api.authorizer.check(&self.ctx.user, &info).await
    }

    /// PUT and PATCH that create run as creates.
    fn operation(&self, old: Option<&Value>) -> Operation {
        if self.operation == Operation::Update && old.is_none() {
            Operation::Create
        } else {
            self.operation
        }
    }
}

#[async_trait]
impl Hooks for Admit<'_> {
    fn creates(&self) -> bool {
        self.creates
    }

    async fn admit(&self, obj: &mut Value, old: Option<&Value>) -> Result<()> {
        let attrs = Attributes {
            ctx: self.ctx,
            operation: self.operation(old),
            old,
        };
        self.api.admission.admit(&attrs, obj).await?;
        // Patches come here with what they made; the others with what admission made of them.
        owner_references::deduplicate(self.ctx, obj, true);
        Ok(())
    }

    async fn validate(&self, obj: Option<&Value>, old: Option<&Value>) -> Result<()> {
        let mut attrs = Attributes {
            ctx: self.ctx,
            operation: self.operation(old),
            old,
        };
        if let Some(obj) = obj {
            self.authorize_create(old).await?;
            return self.api.admission.validate(&attrs, obj).await;
        }
        // Deletes: both passes see no object. In a collection each object is asked for by name.
        let named;
        if self.ctx.info.name.is_empty()
            && let Some(old) = old
        {
            let mut ctx = self.ctx.clone();
            ctx.info.name = meta::name(old).to_owned();
            named = ctx;
            attrs.ctx = &named;
        }
        self.api.admission.admit(&attrs, &mut Value::Null).await?;
        self.api.admission.validate(&attrs, &Value::Null).await
    }

    async fn gone(&self, obj: &Value) {
        let info = &self.ctx.info;
        let services = info.api_group.is_empty() && info.resource == "services";
        if let Some(allocators) = self.api.allocators.as_ref().filter(|_| services) {
            allocators.released(obj).await;
        }
    }
}
