//! The texts of mappings that have been in use, each version once.

use crate::convert::{json, mapping};
use crate::entity::mapping_versions;
use crate::error::Fail;
use crate::limits::{NAME, fits, whole};
use crate::rows::insert_new;
use sea_orm::{ActiveValue::Set, DatabaseConnection, DatabaseTransaction, EntityTrait};
use tongbao_delivery::port::{MappingVersion, Stored};

/// Refuses a mapping that no database could keep.
pub fn keepable(mapping: &MappingVersion) -> Stored<()> {
    fits("mapping version", &mapping.version, NAME)?;
    whole("mapping name", &mapping.name)?;
    mapping.files.iter().try_for_each(|file| {
        whole("mapping file", &file.path)?;
        whole("mapping file", &file.text)
    })
}

/// Keeps those that are not known yet. The same version from two processes is the same text.
pub async fn keep(txn: &DatabaseTransaction, mappings: &[MappingVersion], now_ms: i64) -> Result<(), Fail> {
    let mut rows = Vec::with_capacity(mappings.len());
    for mapping in mappings {
        rows.push(mapping_versions::ActiveModel {
            version: Set(mapping.version.clone()),
            name: Set(mapping.name.clone()),
            files: Set(json(&mapping.files)?),
            first_used_ms: Set(now_ms),
        });
    }
    insert_new::<mapping_versions::Entity, _>(txn, rows, &[mapping_versions::Column::Version]).await?;
    Ok(())
}

/// One version.
pub async fn find(db: &DatabaseConnection, version: &str) -> Result<Option<MappingVersion>, Fail> {
    let found = mapping_versions::Entity::find_by_id(version.to_owned()).one(db).await?;
    Ok(found.map(mapping).transpose()?)
}
