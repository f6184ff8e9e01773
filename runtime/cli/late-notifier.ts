// A notifier whose connector is loaded with its first announcement: a pipeline that announces
// nothing, or long after its start, does not load a client for it.

import type { Notifier } from '../notifier.ts'

/** @param open  called once; a connector that cannot be loaded is a bug, and fails each delivery */
export function lateNotifier(
  { name, kind }: Pick<Notifier, 'name' | 'kind'>,
  open: () => Promise<Notifier>,
): Notifier {
  let opening: Promise<Notifier> | null = null
  return {
    name,
    kind,
    deliver: async (event, signal) => {
      opening ??= open()
      return (await opening).deliver(event, signal)
    },
    close: async () => {
      const notifier = await opening?.catch(() => null)
      await notifier?.close()
    },
  }
}
