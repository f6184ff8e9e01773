// The demo's source: a small shop in a real PostgreSQL, and customers who keep ordering.

import { Client } from 'pg'

export const ORDERS_AT_START = 200_000
const CUSTOMERS = 5_000
const WRITERS = 3

const TABLES = `
  CREATE TABLE customers (
    id int PRIMARY KEY,
    name text NOT NULL,
    email text,
    vip boolean NOT NULL DEFAULT false
  );
  CREATE TABLE orders (
    id bigint PRIMARY KEY,
    customer_id int NOT NULL,
    status varchar(16) NOT NULL,
    amount numeric(12, 2) NOT NULL,
    note text,
    placed_at timestamptz NOT NULL
  );`

const ROWS = `
  INSERT INTO customers
  SELECT id, 'Customer ' || id, CASE WHEN id % 7 > 0 THEN 'c' || id || '@example.com' END, id % 50 = 0
  FROM generate_series(1, ${CUSTOMERS}) AS id;
  INSERT INTO orders
  SELECT id, 1 + id % ${CUSTOMERS}, (ARRAY['new', 'paid', 'shipped'])[1 + id % 3],
         (id % 90000) / 100.0, CASE WHEN id % 4 = 0 THEN 'order no. ' || id || ' — bitte klingeln' END,
         timestamptz '2026-01-01 00:00:00+00' + id * interval '7 seconds 31 microseconds'
  FROM generate_series(1, ${ORDERS_AT_START}) AS id;`

/** Connects, works, disconnects. */
export async function withShop<T>(uri: string, work: (client: Client) => Promise<T>): Promise<T> {
  const client = new Client({ connectionString: uri })
  await client.connect()
  try {
    return await work(client)
  } finally {
    await client.end()
  }
}

export async function openShop(uri: string): Promise<void> {
  await withShop(uri, async (client) => {
    await client.query(TABLES)
    await client.query(ROWS)
  })
}

/** While rows flow: what teams do to tables in production. */
export const migrations = [
  `ALTER TABLE orders ADD COLUMN coupon text DEFAULT 'none'`,
  `ALTER TABLE orders RENAME COLUMN note TO remark`,
]

/** Customers who order, pay and cancel until they are told to stop. */
export class Customers {
  transactions = 0
  private readonly uri: string
  private readonly running: Promise<void>[] = []
  private open = true
  private nextOrder = ORDERS_AT_START + 1

  constructor(uri: string) {
    this.uri = uri
    for (let writer = 0; writer < WRITERS; writer++) this.running.push(this.order(writer))
  }

  async stop(): Promise<void> {
    this.open = false
    await Promise.all(this.running)
  }

  private async order(writer: number): Promise<void> {
    await withShop(this.uri, async (client) => {
      for (let turn = writer; this.open; turn++) {
        await client.query('BEGIN')
        await this.transaction(client, turn)
        await client.query('COMMIT')
        this.transactions++
      }
    })
  }

  /** Text and columns are those of any moment: only columns that no migration touches are named. */
  private async transaction(client: Client, turn: number): Promise<void> {
    const id = this.nextOrder++
    const old = 1 + ((turn * 7919) % ORDERS_AT_START)
    await client.query(
      `INSERT INTO orders (id, customer_id, status, amount, placed_at)
       VALUES ($1, $2, 'new', $3, clock_timestamp())`,
      [id, 1 + (id % CUSTOMERS), (id % 1000) / 100],
    )
    await client.query(`UPDATE orders SET status = 'paid', amount = amount + 1 WHERE id = $1`, [
      old,
    ])
    if (turn % 5 === 0) await client.query('DELETE FROM orders WHERE id = $1', [old + 1])
    if (turn % 11 === 0) {
      await client.query('UPDATE customers SET vip = NOT vip WHERE id = $1', [1 + (id % CUSTOMERS)])
    }
  }
}
