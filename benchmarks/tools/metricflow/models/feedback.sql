SELECT row_number() OVER () AS answer_id, * FROM read_parquet('{{ env_var("WORKLOAD_DATA") }}/feedback/*.parquet')
