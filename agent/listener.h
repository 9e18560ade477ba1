/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The file of the agent's socket, and who is let in: root, the user that the agent runs as, and
 * the members of one group.
 */
#include <stdbool.h>
#include <sys/types.h>

#include "lib/err.h"

#define LISTENER_PATH 108 /* bytes of a socket's path with its NUL (struct sockaddr_un) */

struct listener {
	int fd; /* of the socket; not blocking */
	char path[LISTENER_PATH];
	dev_t dev; /* of the socket file, so that only ours is removed; ino 0: none yet */
	ino_t ino;
	gid_t gid;
	bool has_group;
};

/* Makes the folder (0755) and the socket (0660, of the group; "": none), and listens. A socket
 * file that nobody listens on is replaced. End it with listener_close(), also after an error.
 * -EADDRINUSE: somebody listens there. -ENOENT: there is no such group. */
int listener_open(
	struct listener *l, const char *path, const char *group, int backlog, struct err *e);
void listener_close(struct listener *l); /* removes the file, if it is still ours */

/* Whether the peer of a connection may ask. */
bool listener_may_ask(const struct listener *l, int fd);
