import { EventError, quote, readFields } from './fields.ts';

/**
 * Reads a hook's answer to `ask transport`: lines of the peers file and command lines that name a server, as
 * `peerOptions` of an event. Empty where the hook knows none.
 * @throws EventError with FIELD or SIZE.
 */
export function decodeTransport(bytes: Buffer): string[] {
  const fields = readFields(bytes);
  const peerOptions = fields.get('peer-option') ?? [];
  fields.delete('peer-option');
  fields.delete('unusable');
  const [unknown] = fields.keys();
  if (unknown !== undefined)
    throw new EventError('FIELD', `${quote(unknown)} is not a field of a transport; reinstall the hooks`);
  return peerOptions;
}
