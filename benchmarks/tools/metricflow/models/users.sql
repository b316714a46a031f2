SELECT * FROM read_parquet('{{ env_var("WORKLOAD_DATA") }}/users/*.parquet')
