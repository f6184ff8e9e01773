// What every object store must do, whatever it stores to. A store's own test calls this with a way
// to open an empty store.

import type { ObjectStore } from '../../runtime/object-store.ts'
import { expect, test } from 'vitest'

const text = (value: string): Uint8Array => new TextEncoder().encode(value)

export function testObjectStore(name: string, openEmpty: OpenEmpty): void {
  testWhole(name, openEmpty)
  testPiecewise(name, openEmpty)
  testListing(name, openEmpty)
}

type OpenEmpty = () => Promise<ObjectStore>

function testWhole(name: string, openEmpty: OpenEmpty): void {
  test(`${name}: an object comes back byte for byte, also an empty one`, async () => {
    const store = await openEmpty()
    const bytes = new Uint8Array(300_000).map((_, index) => index * 31)
    await store.put('a/b/large', bytes)
    await store.put('empty', new Uint8Array())
    expect(Buffer.compare(await store.get('a/b/large'), bytes)).toBe(0)
    expect((await store.get('empty')).length).toBe(0)
  })

  test(`${name}: a missing object is an error to read and none to delete`, async () => {
    const store = await openEmpty()
    await expect(store.get('a/none')).rejects.toMatchObject({ error: 'STORAGE_FAILED' })
    await store.delete('a/none')
    expect(await store.exists('a/none')).toBe(false)
  })

  test(`${name}: put replaces, putIfAbsent never does`, async () => {
    const store = await openEmpty()
    expect(await store.putIfAbsent('x', text('first'))).toBe(true)
    expect(await store.putIfAbsent('x', text('second'))).toBe(false)
    expect(await store.get('x')).toEqual(Buffer.from('first'))
    await store.put('x', text('third'))
    expect(await store.get('x')).toEqual(Buffer.from('third'))
  })

  test(`${name}: of many that create one name at once exactly one wins`, async () => {
    const store = await openEmpty()
    const racers = Array.from({ length: 12 }, (_, index) => `racer ${index}`)
    const won = await Promise.all(racers.map((racer) => store.putIfAbsent('r/x', text(racer))))
    expect(won.filter(Boolean)).toHaveLength(1)
    const winner = racers[won.indexOf(true)] as string
    expect(await store.get('r/x')).toEqual(Buffer.from(winner))
    expect(await store.list('r')).toEqual(['r/x'])
  })
}

function testPiecewise(name: string, openEmpty: OpenEmpty): void {
  test(`${name}: an object being written is seen by nobody before it is finished`, async () => {
    const store = await openEmpty()
    const writer = await store.create('d/object')
    await writer.write(text('one '))
    expect(await store.exists('d/object')).toBe(false)
    expect(await store.list('')).toEqual([])
    await writer.write(text('two'))
    expect(writer.length).toBe(7)
    await writer.finish()
    expect(await store.get('d/object')).toEqual(Buffer.from('one two'))
  })

  test(`${name}: what is synced of an object can be read before it is finished`, async () => {
    const store = await openEmpty()
    const writer = await store.create('d/object')
    await writer.write(text('one '))
    await writer.sync()
    await writer.pause()
    expect(await store.get(writer.unfinished)).toEqual(Buffer.from('one '))
    expect(await store.list('')).toEqual([])
    await writer.write(text('two'))
    await writer.pause()
    await writer.sync()
    expect(await store.get(writer.unfinished)).toEqual(Buffer.from('one two'))
    expect(await store.removeUnfinished('', new Set([writer.unfinished]))).toBe(0)
    await writer.finish()
    expect(await store.exists(writer.unfinished)).toBe(false)
    expect(await store.get('d/object')).toEqual(Buffer.from('one two'))
  })

  test(`${name}: an aborted object leaves nothing`, async () => {
    const store = await openEmpty()
    const writer = await store.create('d/object')
    await writer.write(text('bytes'))
    await writer.abort()
    expect(await store.exists('d/object')).toBe(false)
    expect(await store.list('')).toEqual([])
  })

  test(`${name}: a created object never replaces one`, async () => {
    const store = await openEmpty()
    await store.put('d/object', text('old'))
    const writer = await store.create('d/object')
    await writer.write(text('new'))
    await expect(writer.finish()).rejects.toMatchObject({ error: 'STORAGE_FAILED' })
    expect(await store.get('d/object')).toEqual(Buffer.from('old'))
  })
}

function testListing(name: string, openEmpty: OpenEmpty): void {
  test(`${name}: list shows what is below a folder, and only that`, async () => {
    const store = await openEmpty()
    for (const path of ['a/1', 'a/b/2', 'ab/3', '4']) await store.put(path, text(path))
    expect((await store.list('a')).toSorted()).toEqual(['a/1', 'a/b/2'])
    expect((await store.list('')).toSorted()).toEqual(['4', 'a/1', 'a/b/2', 'ab/3'])
    expect(await store.list('none')).toEqual([])
    await store.delete('a/1')
    expect(await store.list('a')).toEqual(['a/b/2'])
  })

  test(`${name}: what a crash left of unfinished objects can be removed, and nothing else`, async () => {
    const store = await openEmpty()
    await store.put('d/object', text('x'))
    const abandoned = await store.create('d/e/half')
    await abandoned.write(text('half'))
    expect(await store.removeUnfinished('d')).toBe(1)
    expect(await store.removeUnfinished('')).toBe(0)
    expect(await store.list('')).toEqual(['d/object'])
    await expect(abandoned.finish()).rejects.toMatchObject({ error: 'STORAGE_FAILED' })
  })

  test(`${name}: no path leaves the store`, async () => {
    const store = await openEmpty()
    for (const path of ['../x', 'a/../../x', '/x', 'a//x', '']) {
      await expect((async () => store.get(path))()).rejects.toThrow(/below its folder/)
    }
  })
}
