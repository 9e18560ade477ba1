/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Network namespaces: the only module that calls setns(). A namespace is held as a descriptor
 * from the first look on, so that a path that changes under us cannot redirect anything.
 */
#include <stdbool.h>
#include <stdint.h>

#include "lib/err.h"

struct ns {
	int fd;	  /* of the namespace; owned */
	int home; /* of the namespace the process came from; owned */
};

#define NS_NONE                                                                                    \
	{                                                                                          \
		.fd = -1, .home = -1                                                               \
	}

/* Opens the network namespace at path. -ENOENT (missing), -ENOTTY (something else is there: a
 * file, a folder, another kind of namespace), -EXDEV (it is our own). */
int ns_open(const char *path, struct ns *out, struct err *e);

/* Makes a namespace, empty but for its loopback, which is down. It lives as long as somebody holds
 * it: ns_path() of it is good for other processes while this one lives. */
int ns_make(struct ns *out, struct err *e);
#define NS_PATH 64
void ns_path(const struct ns *ns, char out[NS_PATH]); /* "/proc/PID/fd/N" */

void ns_close(struct ns *ns); /* ready for CLEANUP_NS; takes NS_NONE */

/* Enters and leaves. Between the two every new socket and /proc/sys/net belong to the namespace;
 * a socket keeps its namespace afterwards. ns_leave() aborts when it cannot go back. */
int ns_enter(const struct ns *ns, struct err *e);
void ns_leave(const struct ns *ns);

/* Whether the namespace has an interface of that name: 1, 0 or an error; and its cookie, see
 * ns_cookie_of(). Enters and leaves. */
int ns_has_interface(const struct ns *ns, const char *ifname, uint64_t *cookie, struct err *e);

/* The cookie of the namespace the process is in: an identity that is never used again in this boot. 0 when
 * the kernel has none (before 5.14), and nothing else: whoever decides by it must not take a failure for
 * it. */
int ns_get_cookie(uint64_t *out, struct err *e);

/* The same, 0 also when it cannot be found out: for records that may say "unknown". Of our own namespace,
 * and of the one in which a socket was opened. */
uint64_t ns_own_cookie(void);
uint64_t ns_cookie_of(int socket);

#define CLEANUP_NS __attribute__((cleanup(ns_close)))
