/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An abstract socket: its name is of the network namespace, as the kernel's routes are, needs no folder that
 * two agents would have in common, and goes with the process. Anybody can take such a name, so it is asked
 * who has it: what another user has is no agent, and does not keep one from its work.
 */
#include "agent/sole.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/log.h"
#include "lib/mem.h"

#define NAME "roost-agent" /* behind the NUL of an abstract name */

static socklen_t make_address(struct sockaddr_un *out)
{
	*out = (struct sockaddr_un){.sun_family = AF_UNIX};
	memcpy(out->sun_path + 1, NAME, sizeof(NAME) - 1);
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + sizeof(NAME));
}

/* Who listens there; pid 0: of another process namespace. false: nobody, any more. */
static bool find_holder(const struct sockaddr_un *address, socklen_t size, struct ucred *out)
{
	socklen_t len = sizeof(*out);
	CLEANUP_FD int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	return fd >= 0 && connect(fd, (const struct sockaddr *)address, size) == 0 &&
	       getsockopt(fd, SOL_SOCKET, SO_PEERCRED, out, &len) == 0;
}

static int refuse(const struct ucred *holder, struct err *e)
{
	char process[32] = "";
	if (holder->pid)
		(void)snprintf(process, sizeof(process), " (process %d)", (int)holder->pid);
	return err_set(e, EBUSY,
		"another roostd%s is the agent of this network namespace: a kernel has one set of "
		"routes, so stop one of them; clusters that share a machine need a network "
		"namespace each",
		process);
}

int sole_open(int *fd, struct err *e)
{
	struct sockaddr_un address;
	struct ucred holder = {0};
	socklen_t size = make_address(&address);
	int s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (s < 0)
		return err_set(e, errno, "cannot make a socket: %s", strerror(errno));
	*fd = s;
	if (bind(s, (const struct sockaddr *)&address, size) == 0)
		return listen(s, 1) < 0 ? err_set(e, errno, "cannot listen: %s", strerror(errno))
					: 0;
	if (errno != EADDRINUSE)
		return err_set(e, errno, "cannot take the socket @" NAME ": %s", strerror(errno));
	/* Its holder may be about to end, or not to listen yet. */
	if (find_holder(&address, size, &holder) && holder.uid != geteuid()) {
		log_warning("user %u has the socket @" NAME
			    ", by which two agents of one machine know each other; going on",
			(unsigned int)holder.uid);
		return 0;
	}
	return refuse(&holder, e);
}
