"""What `tongbao recon compare` tells of two files, by DuckDB with two threads. Amounts are DECIMAL."""

import json
import sys
import time

import duckdb

left, right, several = sys.argv[1], sys.argv[2], sys.argv[3] == "several"
COLUMNS = "{'number': 'VARCHAR', 'day': 'VARCHAR', 'amount': 'DECIMAL(18,2)', 'currency': 'VARCHAR'}"


def rows(side):
    return f"read_csv($${side}$$, header = true, columns = {COLUMNS})"


# Where every key is known to have one row, which it never is, nothing need be added up before the join.
payments = f"(select number, sum(amount) amount from {rows(right)} group by number)" if several else rows(right)
query = f"""
    select case when l.number is null then 3 when r.number is null then 2 when l.amount = r.amount then 0 else 1 end class,
           count(*), coalesce(sum(l.amount), 0), coalesce(sum(r.amount), 0)
    from {rows(left)} l full join {payments} r on l.number = r.number
    group by class
"""
connection = duckdb.connect(config={"threads": 2})
begun = time.perf_counter()
found = connection.execute(query).fetchall()
seconds = time.perf_counter() - begun

keys, sums = [0] * 4, [["0.00"] * 2 for _ in range(4)]
for name, count, one, other in found:
    keys[name], sums[name] = count, [f"{one:.2f}", f"{other:.2f}"]
with open("/proc/self/status") as status:
    peak = next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
print(json.dumps({"micros": int(seconds * 1e6), "peak_kib": peak, "keys": keys, "sums": sums}))
