"""Facts of every case in columns, for counts that would cost the database seconds. PostgreSQL stays the truth."""
