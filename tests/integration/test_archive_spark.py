"""Spark reads the archive as the how-to shows, on a cluster of two workers, and gets the numbers that DuckDB gets.

It runs where there is Java, and a Python with `pyspark`: this one, or the one that `SPARK_PYTHON` names.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from tests.commands import environment
from tests.integration.test_cli_archive import alert, archive, blocks, record, resolved

_PYTHON = os.environ.get("SPARK_PYTHON", sys.executable)
_HAS_SPARK = subprocess.run([_PYTHON, "-c", "import pyspark"], capture_output=True, check=False).returncode == 0
_PRINT = """
import json
workers = spark.sparkContext._jsc.sc().getExecutorMemoryStatus().size() - 1
print(json.dumps([workers, [list(row) for row in noisy], [list(row) for row in pods]]))
"""

pytestmark = [
    pytest.mark.long,
    pytest.mark.migrated,
    pytest.mark.skipif(not _HAS_SPARK, reason="no pyspark; SPARK_PYTHON names a Python that has it"),
    pytest.mark.skipif(shutil.which("java") is None, reason="no Java"),
    pytest.mark.parametrize("database_url", ["sqlite"], indirect=True),
]


def test_spark_gets_the_numbers_that_duckdb_gets(database_url: str, tmp_path: Path) -> None:
    record(database_url, [alert(number) for number in range(9)], [resolved(number) for number in range(9)])
    archive(database_url, "archive", folder=tmp_path)
    (program,) = blocks("python", section="In Spark")
    options = "--conf spark.sql.shuffle.partitions=2 --conf spark.ui.enabled=false pyspark-shell"
    done = subprocess.run(
        [_PYTHON, "-c", program + _PRINT],
        env=environment({"PYSPARK_SUBMIT_ARGS": options, "PYSPARK_PYTHON": _PYTHON, "HOME": str(tmp_path)}),
        cwd=tmp_path,
        capture_output=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    workers, noisy, pods = json.loads(done.stdout.splitlines()[-1])
    with duckdb.connect() as connection:
        first, *_, view = [
            sql.replace("'archive/", f"'{tmp_path}/archive/") for sql in blocks("sql", section="In DuckDB")
        ]
        connection.execute(view)
        of_pod = connection.execute("SELECT count(*) FROM alerts WHERE labels['pod'] = 'web-1'").fetchall()
        assert (noisy, pods) == (
            [list(row) for row in connection.execute(first).fetchall()],
            [list(row) for row in of_pod],
        )
    assert (workers, noisy[0]) == (2, ["Disk0", "shop", 3, 0])
