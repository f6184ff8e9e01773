import { MessageChannel } from 'node:worker_threads'
import { expect, test } from 'vitest'
import { Op } from '../../runtime/data/batch.ts'
import { packBatch } from '../../runtime/data/pack.ts'
import { slabs } from '../../runtime/data/slab.ts'
import { ChannelReceiver, ChannelSender } from '../../runtime/flow/channel.ts'
import { batchOf } from './simulated-source.ts'

function rows(count: number): ReturnType<typeof batchOf> {
  const ops = Array.from({ length: count }, () => Op.insert)
  return packBatch(
    batchOf(
      1n,
      ops,
      Array.from({ length: count }, (_, key) => ({ key, value: key })),
    ),
  )
}

async function turn(): Promise<void> {
  for (let times = 0; times < 20; times++) await new Promise((resolve) => setImmediate(resolve))
}

test('elements arrive in order, batches with their values, and their buffers leave the sender', async () => {
  const { port1, port2 } = new MessageChannel()
  const [sender, receiver] = [new ChannelSender(port1), new ChannelReceiver(port2)]
  const batch = rows(1000)
  const copy = structuredClone(batch)
  sender.send({ kind: 'truncate', table: 'a', order: 5n })
  sender.send(batch)
  sender.send({ kind: 'barrier', epoch: 3 })
  expect(batch.ops.byteLength).toBe(0)
  expect(await receiver.next()).toEqual({ kind: 'truncate', table: 'a', order: 5n })
  expect(await receiver.next()).toEqual(copy)
  expect(await receiver.next()).toEqual({ kind: 'barrier', epoch: 3 })
  sender.close()
  expect(await receiver.next()).toBeNull()
})

test('a full channel asks the sender to wait until the consumer has moved on', async () => {
  const { port1, port2 } = new MessageChannel()
  const [sender, receiver] = [new ChannelSender(port1, 1000), new ChannelReceiver(port2)]
  expect(sender.ready()).toBeUndefined()
  sender.send(rows(100))
  let resumed = false
  const wait = sender.ready()?.then(() => {
    resumed = true
  })
  await receiver.next()
  await turn()
  expect(resumed).toBe(false)
  // Asking for the next element says that the batch before it is done.
  const next = receiver.next()
  await wait
  expect(sender.fill()).toBe(0)
  sender.send({ kind: 'barrier', epoch: 1 })
  await next
  sender.close()
})

test('the memory of a batch comes back with its credit, and serves the next', async () => {
  const { port1, port2 } = new MessageChannel()
  const [sender, receiver] = [new ChannelSender(port1), new ChannelReceiver(port2)]
  const batch = rows(10_000)
  const copy = structuredClone(batch)
  const bytes = batch.ops.buffer.byteLength
  sender.send(batch)
  const received = await receiver.next()
  expect(received).toEqual(copy)
  const next = receiver.next()
  await turn()
  // Whoever still looked at it would see nothing.
  expect(received).toMatchObject({ ops: { byteLength: 0 } })
  const again = rows(10_000)
  expect(again).toEqual(copy)
  expect(slabs.bytes).toBe(0)
  expect(again.ops.buffer.byteLength).toBe(bytes)
  sender.close()
  expect(await next).toBeNull()
})

test('controls pass a full channel', async () => {
  const { port1, port2 } = new MessageChannel()
  const [sender, receiver] = [new ChannelSender(port1, 1), new ChannelReceiver(port2)]
  sender.send(rows(10))
  sender.send({ kind: 'barrier', epoch: 1 })
  await receiver.next()
  expect(await receiver.next()).toEqual({ kind: 'barrier', epoch: 1 })
  sender.close()
})
