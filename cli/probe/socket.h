/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Sockets as the probe needs them: opened in a pod's namespace, of either family, with the Don't
 * Fragment bit as asked, and with the errors that ICMP brings.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "lib/addr.h"
#include "lib/err.h"
#include "lib/ns.h"

/* A non-blocking socket in a namespace (NULL: the process's own); it stays there. */
int probe_socket(const struct ns *ns, int family, int type, int protocol, struct err *e);

socklen_t probe_socket_name(const struct addr *a, uint16_t port, struct sockaddr_storage *out);
/* An IPv4 address inside IPv6 (::ffff:a.b.c.d) is an IPv4 address. */
void probe_socket_addr(const struct sockaddr_storage *name, struct addr *out);
uint16_t probe_socket_port(int fd); /* its own; 0 when it has none */

/* df: DF set, and EMSGSIZE for what is larger than the path is known to take; else fragments. */
void probe_socket_set_df(int fd, int family, bool df);
void probe_socket_want_errors(int fd, int family);
uint32_t probe_socket_path_mtu(int fd, int family); /* of a connected one; 0 unknown */

/* The next error that waits at a socket. */
struct probe_socket_error {
	int error;	  /* errno */
	uint32_t mtu;	  /* with EMSGSIZE; else 0 */
	struct addr from; /* who sent the ICMP message; family 0: the kernel itself */
	uint8_t head[64]; /* of the packet that it is about, from behind its IP header */
	size_t head_len;
};
bool probe_socket_next_error(int fd, struct probe_socket_error *out);
