//! Vendors: companies whose services an organization orders.

mod rejection;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

pub use self::rejection::Rejection;
use crate::{Aggregate, InvalidText, PersonId, PersonName, Personal, identity::EmailAddress, text};

crate::ids! {
    /// A company whose services an organization orders.
    VendorId = "vnd";
    /// A contact person of a vendor.
    ContactId = "vct";
}

/// The personal data of a contact belongs to the contact.
impl From<ContactId> for PersonId {
    fn from(contact: ContactId) -> Self {
        Self(contact.0)
    }
}

/// The email address for orders belongs to the vendor.
impl From<VendorId> for PersonId {
    fn from(vendor: VendorId) -> Self {
        Self(vendor.0)
    }
}

crate::texts! {
    /// A service that a vendor offers.
    #[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
    pub enum Service {
        /// Tugs.
        Towage = "towage",
        /// Pilots.
        Pilotage = "pilotage",
        /// Line handling.
        Mooring = "mooring",
        /// Fuel.
        Bunkering = "bunkering",
        /// Food, stores, spare parts.
        Supplies = "supplies",
        /// Loading and unloading.
        Stevedoring = "stevedoring",
        /// Repair and maintenance.
        Repair = "repair",
        /// Disposal of waste and slops.
        Waste = "waste",
        /// Surveys and inspections.
        Survey = "survey",
        /// Crew changes, transport, medical care.
        Crew = "crew",
        /// Anything else.
        Other = "other",
    }

    /// The status of a vendor.
    #[cfg_attr(feature = "schema", derive(utoipa::ToSchema), schema(as = VendorStatus))]
    pub enum Status {
        /// Can be ordered from.
        Active = "active",
        /// Kept for the record.
        Archived = "archived",
    }
}

/// The most contacts of a vendor.
pub const MAX_CONTACTS: usize = 20;

/// What can be asked of a vendor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Create it.
    Create {
        /// The new vendor.
        vendor: VendorId,
        /// Its name.
        name: VendorName,
        /// What it offers.
        services: BTreeSet<Service>,
        /// Its contacts.
        contacts: Vec<NewContact>,
        /// The email address to which orders are sent.
        order_email: Option<EmailAddress>,
    },
    /// Change its name.
    Rename {
        /// The new name.
        name: VendorName,
    },
    /// Change what it offers.
    ChangeServices {
        /// What it offers now.
        services: BTreeSet<Service>,
    },
    /// Replace its contacts. One with the same name and email address as before stays the same contact.
    ChangeContacts {
        /// All contacts.
        contacts: Vec<NewContact>,
    },
    /// Change the email address to which orders are sent.
    ChangeOrderEmail {
        /// The vendor.
        vendor: VendorId,
        /// The new address.
        order_email: Option<EmailAddress>,
    },
    /// Archive it.
    Archive,
    /// Restore it from the archive.
    Restore,
}

/// A contact person in a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewContact {
    /// The id if the contact is new.
    pub id: ContactId,
    /// The full name.
    pub name: PersonName,
    /// The email address.
    pub email: EmailAddress,
}

/// A contact person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Contact {
    /// The id.
    pub id: ContactId,
    /// The full name.
    pub name: Personal,
    /// The email address.
    pub email: Personal,
}

/// What can happen to a vendor. Stored forever: never reuse a name; a new shape is a new `.vN`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data", deny_unknown_fields)]
pub enum Event {
    /// It was created.
    #[serde(rename = "vendor.created.v1")]
    Created {
        /// Its name.
        name: String,
        /// What it offers.
        services: BTreeSet<Service>,
        /// Its contacts.
        contacts: Vec<Contact>,
        /// The email address to which orders are sent.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        order_email: Option<Personal>,
    },
    /// Its name changed.
    #[serde(rename = "vendor.renamed.v1")]
    Renamed {
        /// The former name.
        from: String,
        /// The new name.
        to: String,
    },
    /// What it offers changed.
    #[serde(rename = "vendor.services_changed.v1")]
    ServicesChanged {
        /// The former services.
        from: BTreeSet<Service>,
        /// The new services.
        to: BTreeSet<Service>,
    },
    /// Its contacts changed.
    #[serde(rename = "vendor.contacts_changed.v1")]
    ContactsChanged {
        /// The former contacts.
        from: Vec<Contact>,
        /// The new contacts.
        to: Vec<Contact>,
    },
    /// The email address to which orders are sent changed.
    #[serde(rename = "vendor.order_email_changed.v1")]
    OrderEmailChanged {
        /// The former address.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        from: Option<Personal>,
        /// The new address.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        to: Option<Personal>,
    },
    /// It was archived.
    #[serde(rename = "vendor.archived.v1")]
    Archived {},
    /// It was restored from the archive.
    #[serde(rename = "vendor.restored.v1")]
    Restored {},
}

/// The name of a vendor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VendorName(String);

text::entered!(VendorName);

impl VendorName {
    /// # Errors
    /// If it is empty, longer than 200 characters, has control or invisible characters, or contains a link other than a domain.
    pub fn new(text: &str) -> Result<Self, InvalidText> {
        text::company_name(text, 200).map(Self)
    }
}

/// A vendor, as far as decisions need it.
#[derive(Debug, Clone, Default)]
pub struct Vendor(Option<Existing>);

/// Why a vendor cannot be asked to provide a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotOrderable {
    /// There is no such vendor.
    #[error("must be a vendor of the organization")]
    NotFound,
    /// The vendor is archived.
    #[error("the vendor is archived: restore it first, or choose another one")]
    Archived,
    /// The vendor does not offer the service.
    #[error("the vendor does not offer {0}: choose another one, or add the service to the vendor")]
    DoesNotOffer(Service),
    /// The vendor has no email address for orders.
    #[error("the vendor has no email address for orders: add one first")]
    NoAddress,
}

impl Vendor {
    /// Its name; `None` if it does not exist.
    pub fn name(&self) -> Option<&str> {
        self.0.as_ref().map(|existing| existing.name.as_str())
    }

    /// The email address to which orders are sent; `None` if there is none, or it was erased.
    pub fn order_email(&self) -> Option<&str> {
        self.0.as_ref()?.order_email.as_ref()?.value()
    }

    /// Whether it can be asked to provide a service.
    ///
    /// # Errors
    /// Why it cannot.
    pub fn can_provide(&self, service: Service) -> Result<(), NotOrderable> {
        let existing = self.0.as_ref().ok_or(NotOrderable::NotFound)?;
        match () {
            () if existing.is_archived => Err(NotOrderable::Archived),
            () if !existing.services.contains(&service) => Err(NotOrderable::DoesNotOffer(service)),
            () if self.order_email().is_none() => Err(NotOrderable::NoAddress),
            () => Ok(()),
        }
    }
}

#[derive(Debug, Clone)]
struct Existing {
    name: String,
    services: BTreeSet<Service>,
    contacts: Vec<Contact>,
    order_email: Option<Personal>,
    is_archived: bool,
}

impl Aggregate for Vendor {
    const CATEGORY: &'static str = "vendor";
    const CONSTRAINTS_NEED_STATE: bool = false;
    type Id = VendorId;
    type Command = Command;
    type Event = Event;
    type Rejection = Rejection;

    fn decide(&self, command: &Command) -> Result<Vec<Event>, Rejection> {
        match (&self.0, command) {
            (Some(existing), command) => existing.decide(command),
            (None, Command::Create { vendor, name, services, contacts, order_email }) => Ok(vec![Event::Created {
                name: name.0.clone(),
                services: offered(services)?,
                contacts: named(&[], contacts)?,
                order_email: address(*vendor, order_email.as_ref()),
            }]),
            (None, _) => Err(Rejection::NotFound),
        }
    }

    fn evolve(&mut self, event: &Event) {
        if let Event::Created { name, services, contacts, order_email } = event {
            let (name, services, contacts) = (name.clone(), services.clone(), contacts.clone());
            let order_email = order_email.clone();
            self.0 = Some(Existing { name, services, contacts, order_email, is_archived: false });
        } else if let Some(existing) = &mut self.0 {
            existing.evolve(event);
        }
    }
}

impl Existing {
    fn decide(&self, command: &Command) -> Result<Vec<Event>, Rejection> {
        match command {
            Command::Create { vendor, name, services, contacts, order_email } => {
                let is_same = self.name == name.0
                    && self.services == *services
                    && named(&self.contacts, contacts)? == self.contacts
                    && self.order_email == address(*vendor, order_email.as_ref());
                if is_same { Ok(vec![]) } else { Err(Rejection::Exists) }
            }
            Command::Archive => Ok(if self.is_archived { vec![] } else { vec![Event::Archived {}] }),
            Command::Restore => Ok(if self.is_archived { vec![Event::Restored {}] } else { vec![] }),
            Command::Rename { .. }
            | Command::ChangeServices { .. }
            | Command::ChangeContacts { .. }
            | Command::ChangeOrderEmail { .. }
                if self.is_archived =>
            {
                Err(Rejection::Archived)
            }
            Command::Rename { name } => {
                let (from, to) = (self.name.clone(), name.0.clone());
                Ok(if from == to { vec![] } else { vec![Event::Renamed { from, to }] })
            }
            Command::ChangeServices { services } => {
                let (from, to) = (self.services.clone(), offered(services)?);
                Ok(if from == to { vec![] } else { vec![Event::ServicesChanged { from, to }] })
            }
            Command::ChangeContacts { contacts } => {
                let (from, to) = (self.contacts.clone(), named(&self.contacts, contacts)?);
                Ok(if from == to { vec![] } else { vec![Event::ContactsChanged { from, to }] })
            }
            Command::ChangeOrderEmail { vendor, order_email } => {
                let (from, to) = (self.order_email.clone(), address(*vendor, order_email.as_ref()));
                Ok(if from == to { vec![] } else { vec![Event::OrderEmailChanged { from, to }] })
            }
        }
    }

    fn evolve(&mut self, event: &Event) {
        match event {
            Event::Created { .. } => {}
            Event::Renamed { to, .. } => self.name.clone_from(to),
            Event::ServicesChanged { to, .. } => self.services.clone_from(to),
            Event::ContactsChanged { to, .. } => self.contacts.clone_from(to),
            Event::OrderEmailChanged { to, .. } => self.order_email.clone_from(to),
            Event::Archived {} => self.is_archived = true,
            Event::Restored {} => self.is_archived = false,
        }
    }
}

fn offered(services: &BTreeSet<Service>) -> Result<BTreeSet<Service>, Rejection> {
    if services.is_empty() { Err(Rejection::NoServices) } else { Ok(services.clone()) }
}

/// The contacts, those that are known under their ids.
fn named(known: &[Contact], contacts: &[NewContact]) -> Result<Vec<Contact>, Rejection> {
    if contacts.len() > MAX_CONTACTS {
        return Err(Rejection::TooManyContacts);
    }
    let contact = |NewContact { id, name, email }: &NewContact| {
        let (name, email) = (name.as_str(), email.to_string());
        let is_same = |it: &&Contact| it.name.value() == Some(name) && it.email.value() == Some(email.as_str());
        known.iter().find(is_same).cloned().unwrap_or_else(|| Contact {
            id: *id,
            name: Personal::identity(*id, name),
            email: Personal::identity(*id, email.as_str()),
        })
    };
    Ok(contacts.iter().map(contact).collect())
}

fn address(vendor: VendorId, email: Option<&EmailAddress>) -> Option<Personal> {
    email.map(|email| Personal::identity(vendor, email.to_string()))
}

#[cfg(test)]
mod tests;
