//! Reads the table of a COPY, and the columns that it loads, from the catalog.

use tokio_postgres::Client;

use super::command::CopyCommand;
use crate::errors::SqlError;

/// The type of a column, as far as it matters for loading.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    SmallInt,
    Integer,
    BigInt,
    Real,
    Double,
    /// Precision and scale.
    Decimal(usize, usize),
    Boolean,
    /// Maximum number of bytes.
    Varchar(usize),
    Char(usize),
    Date,
    Timestamp,
    TimestampTz,
    Super,
    Varbyte,
    /// A type whose text is passed to PostgreSQL unchanged.
    Other,
}

#[derive(Clone, Debug)]
pub struct Column {
    pub name: String,
    pub kind: Kind,
    /// The type's name in `sys_load_error_detail`.
    pub type_name: String,
    pub required: bool,
}

#[derive(Clone, Debug)]
pub struct Target {
    pub table_id: u32,
    pub columns: Vec<Column>,
}

const COLUMNS: &str = "
    SELECT attname::text, typname::text, atttypmod, attnotnull, attidentity::text
    FROM pg_catalog.pg_attribute JOIN pg_catalog.pg_type ON pg_type.oid = atttypid
    WHERE attrelid = $1 AND attnum > 0 AND NOT attisdropped ORDER BY attnum";

/// The columns in the order of the data.
pub async fn find(client: &Client, command: &CopyCommand, table_id: u32, query: i64) -> Result<Target, SqlError> {
    let rows =
        client.query(COLUMNS, &[&table_id]).await.map_err(|error| SqlError::from_postgres(&error, &[], query))?;
    let all: Vec<(Column, bool)> = rows
        .iter()
        .map(|row| {
            let (type_name, modifier): (String, i32) = (row.get(1), row.get(2));
            let kind = kind(&type_name, modifier);
            let identity = row.get::<_, String>(4) == "a";
            (Column { name: row.get(0), kind, type_name, required: row.get(3) }, identity)
        })
        .collect();
    Ok(Target { table_id, columns: chosen(command, all)? })
}

/// The columns of a COPY without a column list: all in order, but IDENTITY columns only with `EXPLICIT_IDS`.
fn chosen(command: &CopyCommand, all: Vec<(Column, bool)>) -> Result<Vec<Column>, SqlError> {
    let explicit = command.options.explicit_ids;
    let Some(names) = &command.columns else {
        return Ok(all.into_iter().filter(|(_, identity)| explicit || !identity).map(|(column, _)| column).collect());
    };
    if let Some((identity, _)) = all.iter().find(|(_, identity)| *identity)
        && names.contains(&identity.name) != explicit
    {
        let text = format!("EXPLICIT_IDS must be specified if and only if IDENTITY column {} is listed", identity.name);
        return Err(SqlError::new(text));
    }
    let find = |name: &String| {
        all.iter().find(|(column, _)| column.name == *name).map(|(column, _)| column.clone()).ok_or_else(|| {
            SqlError::new(format!("column \"{name}\" of relation \"{}\" does not exist", command.table.name))
        })
    };
    let chosen: Vec<Column> = names.iter().map(find).collect::<Result<_, _>>()?;
    match names.iter().enumerate().find(|(index, name)| names[..*index].contains(name)) {
        Some((_, twice)) => Err(SqlError::new(format!("column \"{twice}\" specified more than once"))),
        None => Ok(chosen),
    }
}

fn kind(name: &str, modifier: i32) -> Kind {
    let length = usize::try_from(modifier - 4).ok();
    match name {
        "int2" => Kind::SmallInt,
        "int4" => Kind::Integer,
        "int8" => Kind::BigInt,
        "float4" => Kind::Real,
        "float8" => Kind::Double,
        "numeric" => length.map_or(Kind::Decimal(38, 37), |packed| Kind::Decimal(packed >> 16, packed & 0x7ff)),
        "bool" => Kind::Boolean,
        "varchar" | "text" => Kind::Varchar(length.unwrap_or(65_535)),
        "bpchar" => Kind::Char(length.unwrap_or(1)),
        "date" => Kind::Date,
        "timestamp" => Kind::Timestamp,
        "timestamptz" => Kind::TimestampTz,
        "jsonb" => Kind::Super,
        "bytea" => Kind::Varbyte,
        _ => Kind::Other,
    }
}

impl Column {
    /// The type's name in Redshift's messages.
    pub fn redshift_type(&self) -> String {
        match self.kind {
            Kind::SmallInt => "SMALLINT".to_owned(),
            Kind::Integer => "INT".to_owned(),
            Kind::BigInt => "BIGINT".to_owned(),
            Kind::Real => "REAL".to_owned(),
            Kind::Double => "DOUBLE PRECISION".to_owned(),
            Kind::Decimal(precision, scale) => format!("DECIMAL({precision}, {scale})"),
            Kind::Boolean => "BOOLEAN".to_owned(),
            Kind::Varchar(_) => "VARCHAR".to_owned(),
            Kind::Char(_) => "CHAR".to_owned(),
            Kind::Date => "DATE".to_owned(),
            Kind::Timestamp => "TIMESTAMP".to_owned(),
            Kind::TimestampTz => "TIMESTAMPTZ".to_owned(),
            Kind::Super => "SUPER".to_owned(),
            Kind::Varbyte => "VARBYTE".to_owned(),
            Kind::Other => self.type_name.to_uppercase(),
        }
    }
}
