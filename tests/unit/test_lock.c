/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The lock that many share: who wants to be alone is not starved, whoever is killed meanwhile, and those
 * who come later go on. What is counted are turns, not time.
 */
#include "tests/unit/check.h"
#include "tests/unit/folder.h"

#include "lib/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/boot.h"

#define CALLERS 24
#define ROUNDS 20

static char root[64], path[96];
static int mine = -1; /* held by the test itself; a child has no part in it */

/* What the processes of a test share. */
static struct {
	_Atomic unsigned int turns;
	_Atomic unsigned int turns_past_the_gate; /* begun before it was closed, at best */
	_Atomic unsigned int inside;
	_Atomic bool alone, clash, over;
} * shared;

FIXTURE(setup)
{
	(void)snprintf(root, sizeof(root), "/tmp/roost-test-lock-XXXXXX");
	if (!mkdtemp(root))
		return -1;
	(void)snprintf(path, sizeof(path), "%s/lock", root);
	shared = mmap(
		NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	return shared == MAP_FAILED ? -1 : 0;
}

FIXTURE(teardown)
{
	return folder_remove(root);
}

static bool gate_is_closed(void)
{
	struct stat st;
	return stat(path, &st) == 0 && st.st_size != 0;
}

static pid_t child(void (*run)(void))
{
	(void)fflush(NULL);
	pid_t pid = fork();
	if (pid == 0) {
		if (mine >= 0)
			(void)close(mine);
		run();
		_exit(0);
	}
	return pid;
}

static void end_child(pid_t pid)
{
	int status = 0;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* Turn after turn; there is always somebody inside. */
static void share_for_ever(void)
{
	struct err e;
	while (!atomic_load(&shared->over)) {
		int fd = lock_take(path, LOCK_SHARED, &e);
		if (fd < 0)
			_exit(1);
		atomic_fetch_add(&shared->inside, 1);
		if (atomic_load(&shared->alone))
			atomic_store(&shared->clash, true);
		atomic_fetch_add(&shared->turns, 1);
		if (gate_is_closed())
			atomic_fetch_add(&shared->turns_past_the_gate, 1);
		(void)poll(NULL, 0, 2);
		atomic_fetch_sub(&shared->inside, 1);
		(void)close(fd);
	}
}

static void be_alone_once(void)
{
	struct err e;
	int fd = lock_take(path, LOCK_ALONE, &e);
	if (fd < 0)
		_exit(1);
	atomic_store(&shared->alone, true);
	if (atomic_load(&shared->inside))
		atomic_store(&shared->clash, true);
	atomic_store(&shared->alone, false);
	(void)close(fd);
}

static void wait_for_turns(unsigned int more)
{
	unsigned int until = atomic_load(&shared->turns) + more;
	while (atomic_load(&shared->turns) < until)
		(void)poll(NULL, 0, 1);
}

static void begin(pid_t callers[CALLERS])
{
	memset(shared, 0, sizeof(*shared));
	for (int i = 0; i < CALLERS; i++)
		callers[i] = child(share_for_ever);
	wait_for_turns(CALLERS);
}

static void end(const pid_t callers[CALLERS])
{
	atomic_store(&shared->over, true);
	for (int i = 0; i < CALLERS; i++)
		end_child(callers[i]);
	assert_false(atomic_load(&shared->clash));
	assert_false(gate_is_closed());
}

TEST(who_wants_to_be_alone_waits_for_each_sharer_once_at_most)
{
	pid_t callers[CALLERS];
	begin(callers);
	for (int i = 0; i < ROUNDS; i++) {
		unsigned int before = atomic_load(&shared->turns_past_the_gate);
		end_child(child(be_alone_once));
		unsigned int passed = atomic_load(&shared->turns_past_the_gate) - before;
		assert_in_range(passed, 0, CALLERS);
		wait_for_turns(CALLERS); /* and they go on */
	}
	end(callers);
}

TEST(several_that_want_to_be_alone_all_come_to_it)
{
	pid_t callers[CALLERS];
	pid_t lone[4];
	begin(callers);
	for (size_t i = 0; i < COUNT(lone); i++)
		lone[i] = child(be_alone_once);
	for (size_t i = 0; i < COUNT(lone); i++)
		end_child(lone[i]);
	wait_for_turns(CALLERS);
	end(callers);
}

static void wait_until_closed(void)
{
	while (!gate_is_closed())
		(void)poll(NULL, 0, 1);
}

static void share_once(void)
{
	struct err e;
	_exit(lock_take(path, LOCK_SHARED, &e) < 0);
}

TEST(a_kill_at_the_gate_leaves_it_open)
{
	struct err e;
	mine = lock_take(path, LOCK_SHARED, &e);
	for (int i = 0; i < 3; i++) {
		pid_t lone = child(be_alone_once);
		wait_until_closed();
		pid_t one = child(share_once); /* waits at the gate */
		pid_t two = child(share_once);
		(void)kill(one, SIGKILL);
		(void)kill(lone, SIGKILL);
		(void)waitpid(lone, NULL, 0);
		(void)waitpid(one, NULL, 0);
		end_child(two);
		end_child(child(share_once));
		assert_false(gate_is_closed());
	}
	(void)close(mine);
	mine = -1;
	end_child(child(be_alone_once));
}

TEST(a_holder_that_never_ends_keeps_the_gate_closed_for_a_while_only)
{
	struct err e;
	mine = lock_take(path, LOCK_SHARED, &e);
	pid_t lone = child(be_alone_once);
	wait_until_closed();
	/* For whom the holder may wait himself. */
	int agent = lock_take(path, LOCK_AT_ONCE, &e);
	assert_true(agent >= 0);
	(void)close(agent);
	assert_true(gate_is_closed());
	end_child(child(share_once));
	assert_int_equal(waitpid(lone, NULL, WNOHANG), 0);
	(void)close(mine);
	mine = -1;
	end_child(lone);
}

TEST(what_is_no_plain_file_is_no_lock)
{
	struct err e;
	char other[128];
	(void)snprintf(other, sizeof(other), "%s/other", root);
	(void)close(open(other, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	(void)unlink(path);
	assert_int_equal(symlink(other, path), 0);
	refused(lock_take(path, LOCK_SHARED, &e), ELOOP, "is a symbolic link, not a file: remove");
	(void)unlink(path);
	assert_int_equal(link(other, path), 0);
	refused(lock_take(path, LOCK_ALONE, &e), EMLINK, "has a second name elsewhere");
	(void)unlink(path);
	assert_int_equal(mkfifo(path, 0600), 0);
	refused(lock_take(path, LOCK_SHARED, &e), ENXIO, "is a FIFO, not a file: remove it");
	(void)unlink(path);
	assert_int_equal(mkdir(path, 0700), 0);
	refused(lock_take(path, LOCK_SHARED, &e), EISDIR, "is a folder, not a file: remove it");
	(void)rmdir(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_wants_to_be_alone_waits_for_each_sharer_once_at_most),
		cmocka_unit_test(several_that_want_to_be_alone_all_come_to_it),
		cmocka_unit_test(a_kill_at_the_gate_leaves_it_open),
		cmocka_unit_test(a_holder_that_never_ends_keeps_the_gate_closed_for_a_while_only),
		cmocka_unit_test(what_is_no_plain_file_is_no_lock),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
