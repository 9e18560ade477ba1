/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The socket file and its gate. The file mode is the first check: bind() makes the file with mode
 * 0660 (by the umask, so there is no moment with another mode), its group gets it before listen(),
 * and until then connecting is refused. The credentials of the peer are the second, since a file
 * mode is easily changed by mistake. There is no abstract socket: it would have no mode at all.
 *
 * A socket file outlives the process that made it. Whether it is in use is found by connecting; it
 * is removed only when that is refused. Two agents that start at once would take the place from
 * each other between that question and bind(), so the folder is locked meanwhile.
 */
#include "agent/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "lib/file.h"
#include "lib/mem.h"
#include "lib/text.h"

#define GROUPS_MAX 256 /* supplementary groups of a peer that are looked at */

static int find_group(const char *name, gid_t *out, struct err *e)
{
	char buf[16384];
	struct group group;
	struct group *found = NULL;
	int error = getgrnam_r(name, &group, buf, sizeof(buf), &found);
	if (error)
		return err_set(e, error, "cannot look up group %s: %s", name, strerror(error));
	if (!found)
		return err_set(e, ENOENT, "there is no group %s", name);
	*out = group.gr_gid;
	return 0;
}

static int make_address(
	struct listener *l, const char *path, struct sockaddr_un *out, struct err *e)
{
	*out = (struct sockaddr_un){.sun_family = AF_UNIX};
	if (*path != '/' || !text_copy(out->sun_path, sizeof(out->sun_path), path))
		return err_set(e, EINVAL,
			"\"%.200s\" is no path of a socket: absolute, 107 bytes at most", path);
	(void)text_copy(l->path, sizeof(l->path), path);
	return 0;
}

/* 0 when the place is free now. Called with the folder locked. */
static int clear_place(const struct sockaddr_un *address, struct err *e)
{
	struct stat st;
	if (lstat(address->sun_path, &st) < 0)
		return errno == ENOENT ? 0
				       : err_set(e, errno, "cannot look at %s: %s",
						 address->sun_path, strerror(errno));
	if (!S_ISSOCK(st.st_mode))
		return err_set(e, EEXIST, "%s is there and is no socket", address->sun_path);
	CLEANUP_FD int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return err_set(e, errno, "cannot make a socket: %s", strerror(errno));
	if (connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0 || errno == EAGAIN)
		return err_set(e, EADDRINUSE, "another agent listens at %s", address->sun_path);
	if (errno != ECONNREFUSED)
		return err_set(e, errno, "cannot tell whether somebody listens at %s: %s",
			address->sun_path, strerror(errno));
	if (unlink(address->sun_path) < 0 && errno != ENOENT)
		return err_set(e, errno, "cannot remove the old socket %s: %s", address->sun_path,
			strerror(errno));
	return 0;
}

static int bind_and_listen(
	struct listener *l, const struct sockaddr_un *address, int backlog, struct err *e)
{
	mode_t old = umask(0117);
	int r = bind(l->fd, (const struct sockaddr *)address, sizeof(*address));
	int error = errno;
	(void)umask(old);
	if (r < 0)
		return err_set(e, error, "cannot make the socket %s: %s", l->path, strerror(error));
	struct stat st = {0};
	if (l->has_group && lchown(l->path, (uid_t)-1, l->gid) < 0)
		r = err_set(e, errno, "cannot give %s to its group: %s", l->path, strerror(errno));
	else if (lstat(l->path, &st) < 0 || listen(l->fd, backlog) < 0)
		r = err_set(e, errno, "cannot listen at %s: %s", l->path, strerror(errno));
	if (r < 0) {
		(void)unlink(l->path);
		return r;
	}
	l->dev = st.st_dev;
	l->ino = st.st_ino;
	return 0;
}

static int take_place(
	struct listener *l, const struct sockaddr_un *address, int backlog, struct err *e)
{
	char folder[sizeof(l->path)];
	(void)text_copy(folder, sizeof(folder), l->path);
	char *slash = strrchr(folder, '/');
	slash[slash == folder] = '\0';
	int r = file_make_dir(folder, 0755, e);
	if (r < 0)
		return r;
	CLEANUP_FD int lock = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (lock < 0)
		return err_set(e, errno, "cannot open %s: %s", folder, strerror(errno));
	if (flock(lock, LOCK_EX | LOCK_NB) < 0)
		return err_set(e, EADDRINUSE, "another agent is starting at %s", l->path);
	r = clear_place(address, e);
	return r < 0 ? r : bind_and_listen(l, address, backlog, e);
}

int listener_open(
	struct listener *l, const char *path, const char *group, int backlog, struct err *e)
{
	struct sockaddr_un address;
	*l = (struct listener){.fd = -1, .has_group = *group};
	int r = make_address(l, path, &address, e);
	if (r == 0 && l->has_group)
		r = find_group(group, &l->gid, e);
	if (r < 0)
		return r;
	l->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (l->fd < 0)
		return err_set(e, errno, "cannot make a socket: %s", strerror(errno));
	return take_place(l, &address, backlog, e);
}

void listener_close(struct listener *l)
{
	struct stat st;
	if (l->ino && lstat(l->path, &st) == 0 && st.st_ino == l->ino && st.st_dev == l->dev)
		(void)unlink(l->path);
	mem_cleanup_fd(&l->fd);
	*l = (struct listener){.fd = -1};
}

static bool is_in_group(int fd, const struct ucred *peer, gid_t gid)
{
	gid_t groups[GROUPS_MAX];
	socklen_t size = sizeof(groups);
	if (peer->gid == gid)
		return true;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &size) < 0)
		return false;
	for (size_t i = 0; i < size / sizeof(*groups); i++)
		if (groups[i] == gid)
			return true;
	return false;
}

bool listener_may_ask(const struct listener *l, int fd)
{
	struct ucred peer;
	socklen_t size = sizeof(peer);
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
		return false;
	return peer.uid == 0 || peer.uid == geteuid() ||
	       (l->has_group && is_in_group(fd, &peer, l->gid));
}
