/** Where somebody listens, and who has come from where, as text. */
import type { Socket } from "node:net";

/** `host:port`, with brackets around an IPv6 address. */
export function formatHostPort(host: string, port: number): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

/** The other end of a connection; `?:0` once it has gone without having been asked. */
export function formatRemote({ remoteAddress = "?", remotePort = 0 }: Socket): string {
  return formatHostPort(remoteAddress, remotePort);
}

/** Both ends of a connection, by which it is told from all others: the local one, too, since a caller may use one port for several of ours. Its TLS socket has the same. */
export function formatEnds(socket: Socket): string {
  const { localAddress = "?", localPort = 0 } = socket;
  return `${formatRemote(socket)} ${formatHostPort(localAddress, localPort)}`;
}

/** True for an address, as the system writes it, that only this machine can reach. */
export function isLoopback(address: string): boolean {
  return /^(?:::1|(?:::ffff:)?127(?:\.\d{1,3}){3})$/i.test(address);
}
