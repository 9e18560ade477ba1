/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Network namespaces by descriptor. What the runtime gives us is a path that may be anything:
 * missing, a plain file (what a reboot leaves of a bind mount), a folder, another kind of
 * namespace, or our own, in which a plugin would rearrange the host. All of that is found out once,
 * here, by asking the kernel about the open descriptor; the path is never looked at again.
 *
 * The identity of a namespace is its cookie: unlike the inode number, it is not used again after
 * the namespace is gone. Kernels before 5.14 have none (0: unknown).
 */
#include "lib/ns.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/nsfs.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/mem.h"

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif

static int get_cookie(int socket, uint64_t *out, struct err *e)
{
	uint64_t cookie = 0;
	socklen_t len = sizeof(cookie);
	if (getsockopt(socket, SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &len) < 0 &&
		errno != ENOPROTOOPT)
		return err_set(e, errno, "cannot ask for the network namespace's cookie: %s",
			strerror(errno));
	*out = cookie;
	return 0;
}

int ns_get_cookie(uint64_t *out, struct err *e)
{
	CLEANUP_FD int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return err_set(e, errno,
			"cannot open a socket to ask for the namespace's cookie: %s",
			strerror(errno));
	return get_cookie(fd, out, e);
}

uint64_t ns_own_cookie(void)
{
	struct err ignored;
	uint64_t cookie = 0;
	return ns_get_cookie(&cookie, &ignored) < 0 ? 0 : cookie;
}

uint64_t ns_cookie_of(int socket)
{
	struct err ignored;
	uint64_t cookie = 0;
	return get_cookie(socket, &cookie, &ignored) < 0 ? 0 : cookie;
}

static int check_ns_kind(int fd, const char *path, struct err *e)
{
	int kind = ioctl(fd, NS_GET_NSTYPE);
	if (kind == CLONE_NEWNET)
		return 0;
	struct stat st;
	const char *is = "something else";
	if (kind >= 0)
		is = "another kind of namespace";
	else if (fstat(fd, &st) == 0 && S_ISDIR(st.st_mode))
		is = "a folder";
	else if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
		is = "a plain file";
	return err_set(e, ENOTTY, "\"%s\" is %s, not a network namespace", path, is);
}

static bool is_same_ns(int a, int b)
{
	struct stat sa, sb;
	return fstat(a, &sa) == 0 && fstat(b, &sb) == 0 && sa.st_dev == sb.st_dev &&
	       sa.st_ino == sb.st_ino;
}

static int open_home(struct ns *ns, struct err *e)
{
	ns->home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	return ns->home < 0 ? err_set(e, errno, "cannot open our own network namespace: %s",
				      strerror(errno))
			    : 0;
}

int ns_open(const char *path, struct ns *out, struct err *e)
{
	CLEANUP_NS struct ns ns = NS_NONE;
	ns.fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (ns.fd < 0)
		return err_set(e, errno, "cannot open network namespace \"%s\": %s", path,
			strerror(errno));
	int r = check_ns_kind(ns.fd, path, e);
	if (r == 0)
		r = open_home(&ns, e);
	if (r < 0)
		return r;
	if (is_same_ns(ns.fd, ns.home))
		return err_set(
			e, EXDEV, "plugin's netns and netns from CNI_NETNS should not be the same");
	*out = ns;
	ns = (struct ns)NS_NONE;
	return 0;
}

int ns_make(struct ns *out, struct err *e)
{
	CLEANUP_NS struct ns ns = NS_NONE;
	int r = open_home(&ns, e);
	if (r < 0)
		return r;
	if (unshare(CLONE_NEWNET) < 0)
		return err_set(e, errno, "cannot make a network namespace: %s", strerror(errno));
	ns.fd = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	int error = errno;
	ns_leave(&ns);
	if (ns.fd < 0)
		return err_set(
			e, error, "cannot open a new network namespace: %s", strerror(error));
	*out = ns;
	ns = (struct ns)NS_NONE;
	return 0;
}

void ns_path(const struct ns *ns, char out[NS_PATH])
{
	(void)snprintf(out, NS_PATH, "/proc/%d/fd/%d", (int)getpid(), ns->fd);
}

void ns_close(struct ns *ns)
{
	mem_cleanup_fd(&ns->fd);
	mem_cleanup_fd(&ns->home);
	*ns = (struct ns)NS_NONE;
}

int ns_enter(const struct ns *ns, struct err *e)
{
	if (setns(ns->fd, CLONE_NEWNET) < 0)
		return err_set(
			e, errno, "cannot enter the pod's network namespace: %s", strerror(errno));
	return 0;
}

void ns_leave(const struct ns *ns)
{
	/* Going on in a pod's namespace would rearrange the wrong host: better no process. */
	if (setns(ns->home, CLONE_NEWNET) < 0)
		err_abort("cannot return from the pod's network namespace");
}

int ns_has_interface(const struct ns *ns, const char *ifname, uint64_t *cookie, struct err *e)
{
	int r = ns_enter(ns, e);
	if (r < 0)
		return r;
	CLEANUP_FD int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq request = {0};
	(void)snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", ifname);
	int found = fd < 0 ? -1 : ioctl(fd, SIOCGIFINDEX, &request);
	int error = errno;
	*cookie = fd < 0 ? 0 : ns_cookie_of(fd);
	ns_leave(ns);
	if (found == 0)
		return 1;
	if (error == ENODEV)
		return 0;
	return err_set(e, error, "cannot look for %s in the pod: %s", ifname, strerror(error));
}
