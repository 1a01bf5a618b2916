'use strict'

// Foretells the record that is made of each line of a file, by the rules of python/exchange.py. kafkajs cannot send a header
// without a value; that one header is left out.

const fs = require('fs')

const DAY_MS = 86_400_000
// Fixed for a day, so that a reader in another process knows it; recent enough for any retention.
const FIRST_TIMESTAMP_MS = Math.floor(Date.now() / DAY_MS) * DAY_MS - DAY_MS

function lines(path) {
  const text = fs.readFileSync(path)
  const found = []
  for (let begin = 0; begin < text.length; ) {
    const end = text.indexOf(10, begin)
    found.push(text.subarray(begin, end))
    begin = end + 1
  }
  return found
}

function record(index, line, partitions) {
  return {
    partition: index % partitions,
    key: index % 7 === 0 ? null : Buffer.from(`key-${index}`),
    value: index % 101 === 100 ? null : line,
    headers: index % 5 === 0 ? { line: Buffer.from(`${index}`), empty: Buffer.alloc(0) } : {},
    timestamp: `${FIRST_TIMESTAMP_MS + index}`,
  }
}

function sameBytes(left, right) {
  return left === null || right === null ? left === right : left.equals(right)
}

/** Whether what was read is what was foretold; another client's record has the header that kafkajs cannot send. */
function same(left, right) {
  const names = Object.keys(left.headers).filter((name) => name !== 'null' || left.headers.null !== null)
  return (
    left.timestamp === right.timestamp &&
    sameBytes(left.key, right.key) &&
    sameBytes(left.value, right.value) &&
    names.join() === Object.keys(right.headers).join() &&
    names.every((name) => sameBytes(left.headers[name], right.headers[name]))
  )
}

function check(holds, otherwise) {
  if (!holds) {
    throw new Error(typeof otherwise === 'string' ? otherwise : JSON.stringify(otherwise))
  }
}

/** Waits until something holds that becomes visible a moment after it was answered. */
async function becomes(what, holds) {
  for (let round = 0; round < 150; round++) {
    if (await holds()) {
      return
    }
    await pause(100)
  }
  throw new Error(`${what}: not seen`)
}

function pause(milliseconds) {
  return new Promise((resolve) => setTimeout(resolve, milliseconds))
}

/** What the call failed with must be this error of the protocol. */
async function fails(type, call) {
  try {
    await call
  } catch (error) {
    check(typesOf(error).includes(type), `${error.stack} instead of ${type}`)
    return
  }
  throw new Error(`success instead of ${type}`)
}

/** Errors about several things hold one error for each, in one of these places. */
function typesOf(error) {
  const held = [error.cause, ...(error.errors ?? []), ...(error.groups ?? []), ...(error.partitions ?? [])]
  return [error.type, ...held.filter(Boolean).flatMap((one) => typesOf(one.error ?? one))]
}

module.exports = { FIRST_TIMESTAMP_MS, becomes, check, fails, lines, pause, record, same }
