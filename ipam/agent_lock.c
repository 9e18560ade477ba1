/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The lock is on a byte of a file, held as long as the agent's process lives. Others ask for it
 * without taking it (F_OFD_GETLK), so that asking disturbs nobody.
 */
#include "ipam/agent_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/file.h"
#include "lib/mem.h"

static void agent_lock_path(const char *dir, char out[PATH_MAX])
{
	(void)snprintf(out, PATH_MAX, "%s/agent.lock", dir);
}

/* Only asked, so that whatever has the name does no harm. */
static int agent_lock_look(const char *dir)
{
	char path[PATH_MAX];
	agent_lock_path(dir, path);
	return open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NOFOLLOW | O_NONBLOCK);
}

int agent_lock_take(const char *dir, struct err *e)
{
	struct flock l = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1};
	int r = file_make_dir(dir, 0700, e);
	if (r < 0)
		return r;
	char path[PATH_MAX];
	agent_lock_path(dir, path);
	int fd = file_open(path, O_RDWR | O_CREAT, NULL, e);
	if (fd < 0)
		return fd;
	if (fcntl(fd, F_OFD_SETLK, &l) == 0)
		return fd;
	bool taken = errno == EAGAIN || errno == EACCES;
	r = taken ? err_set(e, EBUSY, "another agent looks after the state folder %s", dir)
		  : err_set(e, errno, "cannot lock %s/agent.lock: %s", dir, strerror(errno));
	(void)close(fd);
	return r;
}

enum agent_lock agent_lock_find(const char *dir)
{
	struct flock l = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1};
	CLEANUP_FD int fd = agent_lock_look(dir);
	if (fd < 0)
		return AGENT_LOCK_NONE;
	bool held = fcntl(fd, F_OFD_GETLK, &l) == 0 && l.l_type != F_UNLCK;
	return held ? AGENT_LOCK_HELD : AGENT_LOCK_LEFT;
}

bool agent_lock_is_held(const char *dir)
{
	return agent_lock_find(dir) == AGENT_LOCK_HELD;
}
