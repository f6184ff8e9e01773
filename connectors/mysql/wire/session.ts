// What each of our sessions sets for itself, so that neither the server's own settings nor its
// `init_connect` decide what we read: a `sql_select_limit` would cut lists of tables and columns off
// without a word, `SET NAMES latin1` change names and defaults, and `autocommit=0` keep one old
// snapshot open for as long as we run.

/** Back-pressure and a quiet log may last: the server must not give up on a reader meanwhile. */
const WRITE_TIMEOUT_S = 86_400
/** The highest that both servers take. */
const IDLE_TIMEOUT_S = 31_536_000
/** No limit. `DEFAULT` would be the one that the server has set. */
const ALL_ROWS = '18446744073709551615'

/** Times in UTC, text in utf8mb4, CHAR without its padding, and no limit on what a SELECT reads. */
export function sessionSql(mariadb: boolean): string {
  const settings = [
    'NAMES utf8mb4',
    "time_zone = '+00:00'",
    "sql_mode = ''",
    'autocommit = 1',
    `sql_select_limit = ${ALL_ROWS}`,
    // Else a server with a `max_join_size` refuses what reads more rows.
    'sql_big_selects = 1',
    mariadb ? 'max_statement_time = 0' : 'max_execution_time = 0',
    `net_write_timeout = ${WRITE_TIMEOUT_S}`,
    `wait_timeout = ${IDLE_TIMEOUT_S}`,
  ]
  return `SET ${settings.join(', ')}`
}
