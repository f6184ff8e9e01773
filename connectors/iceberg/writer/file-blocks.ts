// From the id of a data file to its name: each start names its files with a suffix of its own, so
// that no start meets what another left behind. What is known of older starts is an object that is
// written once a start, and it forgets starts of which no row is left: the checkpoint does not grow
// with the number of starts.

import type { ObjectStore } from '../../../runtime/object-store.ts'
import type { KeyIndex } from '../index/key-index.ts'
import { readPart, type FileBlock, type WriterData } from './writer-state.ts'

export interface OlderBlocks {
  /** Blocks that were left when the index was last asked which of them have rows. */
  readonly live: number
  readonly blocks: readonly FileBlock[]
}

/** Asking the index means reading all of it: not before there are so many blocks. */
const BLOCKS_MIN = 64

/**
 * @param states  of all writers of a checkpoint
 * @returns the blocks of their starts
 */
export async function readBlocks(
  store: ObjectStore,
  states: readonly WriterData[],
): Promise<OlderBlocks> {
  const blocks: FileBlock[] = []
  let live = 0
  for (const { block, older } of states) {
    if (block !== null) blocks.push(block)
    if (older === null) continue
    const part = (await readPart(store, older)) as OlderBlocks
    blocks.push(...part.blocks)
    live = Math.max(live, part.live)
  }
  return { live, blocks: mergeBlocks(blocks) }
}

/** Writers of one start take turns with the ids, so theirs are one block. */
function mergeBlocks(blocks: readonly FileBlock[]): FileBlock[] {
  const merged = new Map<string, FileBlock>()
  for (const { first, until, suffix } of blocks) {
    const known = merged.get(suffix)
    merged.set(suffix, {
      first: Math.min(first, known?.first ?? first),
      until: Math.max(until, known?.until ?? until),
      suffix,
    })
  }
  return [...merged.values()].sort((left, right) => left.first - right.first)
}

/** @returns without the blocks of which the index has no row, if it is time to look */
export function withoutDead({ live, blocks }: OlderBlocks, index: KeyIndex): OlderBlocks {
  if (blocks.length < 2 * Math.max(live, BLOCKS_MIN)) return { live, blocks }
  const used = new Set<FileBlock>()
  index.eachFile((fileId) => {
    const block = blockOf(blocks, fileId)
    if (block !== null) used.add(block)
  })
  return { live: used.size, blocks: blocks.filter((block) => used.has(block)) }
}

/**
 * @param blocks  by their first id, ascending
 * @returns the block of a file; `null` when no start is known that had the id
 */
export function blockOf(blocks: readonly FileBlock[], fileId: number): FileBlock | null {
  let low = 0
  let high = blocks.length
  while (low < high) {
    const middle = (low + high) >> 1
    if ((blocks[middle]?.first ?? 0) <= fileId) low = middle + 1
    else high = middle
  }
  const block = blocks[low - 1]
  return block !== undefined && fileId < block.until ? block : null
}
