//! The default credential: whatever identity the machine offers, in azure-identity's order.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use crate::command::Programs;
use crate::credential::application::{Authority, Lookup};
use crate::credential::chain::{Chain, Lenient};
use crate::credential::cli::{AzureCli, AzureDeveloperCli, PROCESS_TIMEOUT};
use crate::credential::environment;
use crate::credential::flow::{Flow, Unavailable};
use crate::credential::managed_identity::{ManagedIdentity, UserAssigned};
use crate::credential::workload_identity::WorkloadIdentity;
use crate::env;
use crate::error::{Code, Error, Result};
use crate::world::World;

/// The name of the credential.
pub const NAME: &str = "DefaultAzureCredential";

/// The variable that chooses among the members.
pub const CHOICE: &str = "AZURE_TOKEN_CREDENTIALS";

/// A member of the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Member {
    /// An application in environment variables.
    Environment,
    /// Workload identity of Kubernetes.
    WorkloadIdentity,
    /// A managed identity.
    ManagedIdentity,
    /// The token cache of Microsoft's tools. Not part of Hubpass.
    SharedTokenCache,
    /// Visual Studio Code. Not part of Hubpass.
    VisualStudioCode,
    /// The Azure CLI.
    AzureCli,
    /// Azure PowerShell. Not part of Hubpass.
    PowerShell,
    /// The Azure Developer CLI.
    DeveloperCli,
    /// A browser; left out unless it is asked for. Not part of Hubpass.
    InteractiveBrowser,
    /// The broker of the operating system. Not part of Hubpass.
    Broker,
}

impl Member {
    /// All of them, in the order in which they are tried.
    pub const ALL: [Self; 10] = [
        Self::Environment,
        Self::WorkloadIdentity,
        Self::ManagedIdentity,
        Self::SharedTokenCache,
        Self::VisualStudioCode,
        Self::AzureCli,
        Self::PowerShell,
        Self::DeveloperCli,
        Self::InteractiveBrowser,
        Self::Broker,
    ];

    /// The class of the credential.
    pub fn class(self) -> &'static str {
        match self {
            Self::Environment => "EnvironmentCredential",
            Self::WorkloadIdentity => "WorkloadIdentityCredential",
            Self::ManagedIdentity => "ManagedIdentityCredential",
            Self::SharedTokenCache => "SharedTokenCacheCredential",
            Self::VisualStudioCode => "VisualStudioCodeCredential",
            Self::AzureCli => "AzureCliCredential",
            Self::PowerShell => "AzurePowerShellCredential",
            Self::DeveloperCli => "AzureDeveloperCliCredential",
            Self::InteractiveBrowser => "InteractiveBrowserCredential",
            Self::Broker => "BrokerCredential",
        }
    }

    /// The keyword that leaves it out.
    pub fn keyword(self) -> &'static str {
        match self {
            Self::Environment => "exclude_environment_credential",
            Self::WorkloadIdentity => "exclude_workload_identity_credential",
            Self::ManagedIdentity => "exclude_managed_identity_credential",
            Self::SharedTokenCache => "exclude_shared_token_cache_credential",
            Self::VisualStudioCode => "exclude_visual_studio_code_credential",
            Self::AzureCli => "exclude_cli_credential",
            Self::PowerShell => "exclude_powershell_credential",
            Self::DeveloperCli => "exclude_developer_cli_credential",
            Self::InteractiveBrowser => "exclude_interactive_browser_credential",
            Self::Broker => "exclude_broker_credential",
        }
    }

    /// Whether `AZURE_TOKEN_CREDENTIALS` can name it alone.
    fn can_be_chosen(self) -> bool {
        !matches!(self, Self::SharedTokenCache | Self::Broker)
    }

    /// Whether it is for production.
    fn is_for_production(self) -> bool {
        self <= Self::ManagedIdentity
    }

    /// Whether it is left out unless somebody asks for it.
    fn is_left_out(self) -> bool {
        self == Self::InteractiveBrowser
    }
}

/// What the caller says of the chain; the environment says the rest.
pub struct DefaultCredential {
    /// The authority, if it is not the environment's.
    pub authority: Option<String>,
    /// Members that the caller leaves out (`true`) or wants in (`false`), whatever the environment says.
    pub exclusions: Vec<(Member, bool)>,
    /// The user-assigned identity: that of the environment (`None`), the system-assigned one (`Some(None)`), or this.
    pub managed_identity_client_id: Option<Option<String>>,
    /// The same for workload identity, where it is that of the managed identity if nothing is said.
    pub workload_identity_client_id: Option<Option<String>>,
    /// The tenant of the workload, if it is not the environment's.
    pub workload_identity_tenant_id: Option<String>,
    /// Further tenants.
    pub additionally_allowed_tenants: Vec<String>,
    /// How long a command-line tool may take.
    pub process_timeout: Duration,
    /// Whether `AZURE_TOKEN_CREDENTIALS` has to be set.
    pub require_envvar: bool,
}

impl Default for DefaultCredential {
    fn default() -> Self {
        Self {
            authority: None,
            exclusions: Vec::new(),
            managed_identity_client_id: None,
            workload_identity_client_id: None,
            workload_identity_tenant_id: None,
            additionally_allowed_tenants: Vec::new(),
            process_timeout: PROCESS_TIMEOUT,
            require_envvar: false,
        }
    }
}

impl DefaultCredential {
    /// The chain.
    pub fn flow(self, lookup: Lookup<'_>, world: &World) -> Result<Chain> {
        let authority = Authority::choose(self.authority.as_deref(), lookup)?;
        let chosen = self.members(lookup)?;
        let (mut members, mut missing): (Vec<Arc<dyn Flow>>, _) = (Vec::new(), Vec::new());
        for member in &chosen {
            // A member that cannot be made says why when its turn comes.
            let or_failed = |made: Result<Arc<dyn Flow>>| {
                made.unwrap_or_else(|error| Arc::new(Unavailable::new(member.class(), &error)))
            };
            let allowed = || self.additionally_allowed_tenants.clone();
            members.push(match member {
                Member::Environment => or_failed(environment::flow(authority.clone(), allowed(), lookup, world)),
                Member::WorkloadIdentity => or_failed(
                    self.workload(lookup)
                        .flow(authority.clone(), lookup, world)
                        .map(|flow| Arc::new(flow) as Arc<dyn Flow>),
                ),
                Member::ManagedIdentity => or_failed(
                    ManagedIdentity {
                        user_assigned: self.managed_client_id(lookup).map(UserAssigned::ClientId),
                        includes_workload: chosen.contains(&Member::WorkloadIdentity),
                        arc_keys: None,
                    }
                    .flow(lookup, world),
                ),
                Member::AzureCli => or_failed(
                    AzureCli::new(None, "", Vec::new(), self.programs(), lookup)
                        .map(|tool| Arc::new(Lenient(Arc::new(tool))) as Arc<dyn Flow>),
                ),
                Member::DeveloperCli => or_failed(
                    AzureDeveloperCli::new("", Vec::new(), self.programs(), lookup)
                        .map(|tool| Arc::new(Lenient(Arc::new(tool))) as Arc<dyn Flow>),
                ),
                _ => {
                    missing.push(member.class());
                    continue;
                }
            });
        }
        Chain::new(
            NAME,
            members,
            missing,
            "Take up what one of them says; for any other identity pass a credential of azure.identity as credential=.",
        )
    }

    fn programs(&self) -> Programs {
        Programs::new(env::all(), self.process_timeout)
    }

    fn managed_client_id(&self, lookup: Lookup<'_>) -> Option<String> {
        self.managed_identity_client_id.clone().unwrap_or_else(|| lookup("AZURE_CLIENT_ID"))
    }

    fn workload(&self, lookup: Lookup<'_>) -> WorkloadIdentity {
        let client_id = self.workload_identity_client_id.clone().unwrap_or_else(|| self.managed_client_id(lookup));
        WorkloadIdentity {
            client_id,
            tenant_id: self.workload_identity_tenant_id.clone(),
            token_file_path: None,
            additionally_allowed_tenants: self.additionally_allowed_tenants.clone(),
        }
    }

    /// The members that are tried: by the environment's choice, over which the caller's own goes.
    fn members(&self, lookup: Lookup<'_>) -> Result<BTreeSet<Member>> {
        let choice = choice(lookup);
        if self.require_envvar && choice.is_none() {
            return Err(Error::new(
                Code::SettingsMissing,
                format!("The environment variable {CHOICE} is not set, and require_envvar=True asks for it."),
                format!("Set {CHOICE}=prod, {CHOICE}=dev or {CHOICE}=<name of a credential>."),
            ));
        }
        let mut members: BTreeSet<Member> = match choice.as_deref() {
            None => Member::ALL.into_iter().filter(|member| !member.is_left_out()).collect(),
            Some("dev") => {
                let is_for_development = |member: &Member| !member.is_for_production() && !member.is_left_out();
                Member::ALL.into_iter().filter(is_for_development).collect()
            }
            Some("prod") => Member::ALL.into_iter().filter(|member| member.is_for_production()).collect(),
            Some(name) => {
                let choices = || Member::ALL.into_iter().filter(|member| member.can_be_chosen());
                let named = choices().find(|member| member.class().eq_ignore_ascii_case(name));
                let member = named.ok_or_else(|| {
                    let names: Vec<&str> = choices().map(Member::class).collect();
                    Error::new(
                        Code::SettingsInvalid,
                        format!("The environment variable {CHOICE} names no credential that is known."),
                        format!("Set {CHOICE}=dev, {CHOICE}=prod or one of {}.", names.join(", ")),
                    )
                })?;
                BTreeSet::from([member])
            }
        };
        for (member, is_excluded) in &self.exclusions {
            if *is_excluded {
                members.remove(member);
            } else {
                members.insert(*member);
            }
        }
        Ok(members)
    }
}

/// What the environment chooses.
fn choice(lookup: Lookup<'_>) -> Option<String> {
    lookup(CHOICE).map(|choice| choice.trim().to_ascii_lowercase()).filter(|choice| !choice.is_empty())
}
