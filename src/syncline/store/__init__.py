"""The only code that knows SQL: tables, engines and one file per table family."""
