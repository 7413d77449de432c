//! Redshift's additions to PostgreSQL's catalog.

/// SQL that runs once in every new database. It creates system tables and functions of Redshift, and an `information_schema.columns` that
/// shows the default of an IDENTITY column as Redshift does.
pub const SYSTEM_TABLES: &str = r#"
    SET allow_system_table_mods = on;
    CREATE TABLE pg_catalog.standin_load_error (
        query_id bigint, table_id integer, start_time timestamp DEFAULT (clock_timestamp() AT TIME ZONE 'UTC'),
        file_name text, line_number bigint, column_name text, column_type text, raw_line text, raw_field_value text,
        error_code integer, error_message text);
    CREATE VIEW pg_catalog.sys_load_error_detail AS
        SELECT 100 AS user_id, query_id, 0::bigint AS transaction_id, 8431 AS session_id,
               current_database()::text AS database_name, table_id, start_time, file_name, line_number, column_name,
               column_type, 0 AS column_length, 0 AS position, error_code, left(error_message, 512) AS error_message
        FROM pg_catalog.standin_load_error;
    CREATE VIEW pg_catalog.stl_load_errors AS
        SELECT 100 AS userid, 0 AS slice, table_id AS tbl, start_time AS starttime, 8431 AS session, query_id AS query,
               left(file_name, 256) AS filename, line_number, column_name AS colname, column_type AS type,
               0 AS col_length, 0 AS position, left(raw_line, 1024) AS raw_line,
               left(raw_field_value, 1024) AS raw_field_value, error_code AS err_code, left(error_message, 100) AS err_reason
        FROM pg_catalog.standin_load_error;
    GRANT SELECT ON pg_catalog.sys_load_error_detail, pg_catalog.stl_load_errors TO PUBLIC;
    CREATE FUNCTION pg_catalog.json_parse(text) RETURNS jsonb LANGUAGE sql IMMUTABLE AS 'SELECT $1::jsonb';
    CREATE FUNCTION pg_catalog.pg_last_copy_count() RETURNS bigint LANGUAGE sql STABLE AS
        'SELECT coalesce(nullif(current_setting(''standin.copy_count'', true), ''''), ''0'')::bigint';
    CREATE FUNCTION pg_catalog.pg_last_copy_id() RETURNS bigint LANGUAGE sql STABLE AS
        'SELECT coalesce(nullif(current_setting(''standin.copy_id'', true), ''''), ''-1'')::bigint';
    ALTER VIEW information_schema.columns RENAME TO standin_columns;
    DO $$ DECLARE columns text; BEGIN
        SELECT string_agg(CASE attname WHEN 'column_default' THEN
            'CASE identity_generation
                 WHEN ''ALWAYS'' THEN format(''"identity"(%s, %s, %L::text)'', to_regclass(format(''%I.%I'', table_schema, table_name))::oid, ordinal_position - 1, identity_start || '','' || identity_increment)
                 WHEN ''BY DEFAULT'' THEN format(''default_identity(%s, %s, %L::text)'', to_regclass(format(''%I.%I'', table_schema, table_name))::oid, ordinal_position - 1, identity_start || '','' || identity_increment)
                 ELSE column_default END::information_schema.character_data AS column_default'
            ELSE quote_ident(attname) END, ', ' ORDER BY attnum) INTO columns
        FROM pg_attribute WHERE attrelid = 'information_schema.standin_columns'::regclass AND attnum > 0;
        EXECUTE 'CREATE VIEW information_schema.columns AS SELECT ' || columns || ' FROM information_schema.standin_columns';
        EXECUTE 'CREATE VIEW pg_catalog.svv_columns AS SELECT * FROM information_schema.columns';
    END $$;
    GRANT SELECT ON information_schema.columns, pg_catalog.svv_columns TO PUBLIC;
    RESET allow_system_table_mods;"#;
