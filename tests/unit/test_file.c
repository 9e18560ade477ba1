/* SPDX-License-Identifier: Apache-2.0 */
/* Files, folders, locks and settings; the boot id and the clocks. All in one temporary folder. */
#include "tests/unit/check.h"
#include "tests/unit/folder.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/boot.h"
#include "lib/file.h"
#include "lib/lock.h"

static char root[64];

FIXTURE(setup)
{
	(void)snprintf(root, sizeof(root), "/tmp/roost-test-file-XXXXXX");
	return mkdtemp(root) ? 0 : -1;
}

static void path_in_root(const char *name, char out[256])
{
	(void)snprintf(out, 256, "%s/%s", root, name);
}

static int open_with(const char *name, const char *content, size_t len)
{
	char path[256];
	path_in_root(name, path);
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
	assert_int_equal(write(fd, content, len), (ssize_t)len);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	return fd;
}

TEST(a_file_is_read_up_to_its_limit)
{
	struct err e;
	char *text = NULL;
	size_t len = 0;
	char big[10000];
	memset(big, 'x', sizeof(big));
	int fd = open_with("big", big, sizeof(big));
	assert_int_equal(file_read_fd(fd, sizeof(big), &text, &len, &e), 0);
	assert_int_equal(len, sizeof(big));
	assert_int_equal(text[len], '\0');
	assert_memory_equal(text, big, len);
	free(text);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	refused_with(file_read_fd(fd, sizeof(big) - 1, &text, &len, &e), EFBIG,
		"longer than 9999 bytes");
	(void)close(fd);
	fd = open_with("empty", "", 0);
	assert_int_equal(file_read_fd(fd, 0, &text, &len, &e), 0);
	assert_string_equal(text, "");
	free(text);
	(void)close(fd);
	fd = open(root, O_RDONLY | O_DIRECTORY);
	assert_int_equal(file_read_fd(fd, 10, &text, &len, &e), -EISDIR);
	(void)close(fd);
}

static void assert_holds(const char *path, const char *content)
{
	struct err e;
	char *text = NULL;
	size_t len = 0;
	int fd = open(path, O_RDONLY);
	assert_int_equal(file_read_fd(fd, 100, &text, &len, &e), 0);
	assert_string_equal(text, content);
	free(text);
	(void)close(fd);
}

TEST(a_file_is_replaced_whole_or_not_at_all)
{
	struct err e;
	struct stat st;
	char path[256];
	char fresh[256];
	mode_t old = umask(077);
	path_in_root("replaced", path);
	path_in_root("replaced.new", fresh);
	(void)close(open_with("replaced.new", "left over by a crash", 20));
	assert_int_equal(file_replace(path, 0640, "one", 3, &e), 0);
	assert_holds(path, "one");
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0640);
	assert_int_equal(access(fresh, F_OK), -1);
	assert_int_equal(mkdir(fresh, 0700), 0);
	refused(file_replace(path, 0640, "two", 3, &e), EISDIR, "replaced.new is a folder, not a file");
	assert_holds(path, "one");
	assert_int_equal(rmdir(fresh), 0);
	(void)umask(old);
}

TEST(a_failed_replacement_leaves_nothing_behind)
{
	struct err e;
	char path[256];
	char longer[8192];
	path_in_root("folder", path);
	assert_int_equal(mkdir(path, 0700), 0);
	refused(file_replace(path, 0600, "x", 1, &e), EISDIR, "cannot replace");
	path_in_root("folder.new", path);
	assert_int_equal(access(path, F_OK), -1);
	memset(longer, 'x', sizeof(longer));
	longer[sizeof(longer) - 1] = '\0';
	assert_int_equal(file_replace(longer, 0600, "x", 1, &e), -ENAMETOOLONG);
	assert_int_equal(file_sync_dir("/nonexistent", &e), -ENOENT);
}

/* A pipe takes less than this at once. */
TEST(everything_is_written_or_an_error_is_given)
{
	char big[100000];
	memset(big, 'x', sizeof(big));
	int ends[2];
	assert_int_equal(pipe2(ends, O_NONBLOCK), 0);
	assert_int_equal(file_write(ends[1], big, sizeof(big)), -EAGAIN);
	assert_int_equal(file_write(ends[1], big, 0), 0);
	(void)close(ends[0]);
	(void)close(ends[1]);
	int fd = open("/dev/full", O_WRONLY);
	assert_int_equal(file_write(fd, big, 1), -ENOSPC);
	(void)close(fd);
}

TEST(a_folder_is_made_with_its_parents_and_mode)
{
	struct err e;
	struct stat st;
	char path[256];
	char parent[256];
	mode_t old = umask(077);
	path_in_root("a/b/c", path);
	path_in_root("a", parent);
	assert_int_equal(file_make_dir(path, 0700, &e), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	assert_int_equal(stat(parent, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0755);
	assert_int_equal(file_make_dir(path, 0755, &e), 0); /* keeps what is there */
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	path_in_root("d//e/", path);
	assert_int_equal(file_make_dir(path, 0750, &e), 0);
	(void)umask(old);
}

TEST(a_folder_that_cannot_be_is_refused)
{
	struct err e;
	char path[256];
	char longer[8192];
	(void)close(open_with("file", "x", 1));
	path_in_root("file", path);
	refused(file_make_dir(path, 0700, &e), ENOTDIR, "a file is in its place");
	path_in_root("file/below", path);
	assert_int_equal(file_make_dir(path, 0700, &e), -ENOTDIR);
	assert_int_equal(file_make_dir("", 0700, &e), -EINVAL);
	memset(longer, 'x', sizeof(longer));
	longer[sizeof(longer) - 1] = '\0';
	assert_int_equal(file_make_dir(longer, 0700, &e), -ENAMETOOLONG);
}

TEST(locks_are_shared_or_exclusive)
{
	struct err e;
	char path[256];
	struct stat st;
	path_in_root("lock", path);
	int one = lock_take(path, LOCK_SHARED, &e);
	int two = lock_take(path, LOCK_SHARED, &e);
	assert_true(one >= 0 && two >= 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_true(fcntl(one, F_GETFD) & FD_CLOEXEC);
	int other = open(path, O_RDWR);
	assert_int_equal(flock(other, LOCK_EX | LOCK_NB), -1);
	(void)close(one);
	(void)close(two);
	one = lock_take(path, LOCK_ALONE, &e);
	assert_int_equal(flock(other, LOCK_SH | LOCK_NB), -1);
	(void)close(one);
	assert_int_equal(flock(other, LOCK_SH | LOCK_NB), 0);
	(void)close(other);
	path_in_root("missing/lock", path);
	assert_int_equal(lock_take(path, LOCK_SHARED, &e), -ENOENT);
}

TEST(settings_are_numbers)
{
	struct err e;
	char path[256];
	long value = 0;
	path_in_root("setting", path);
	(void)close(open_with("setting", "17\n", 3));
	assert_int_equal(file_get_number(path, &value, &e), 0);
	assert_int_equal(value, 17);
	(void)close(open_with("setting", "", 0));
	assert_int_equal(file_put_number(path, -4, &e), 0);
	assert_int_equal(file_get_number(path, &value, &e), 0);
	assert_int_equal(value, -4);
	static const char *const bad[] = {"", "x", "1x", "99999999999999999999999"};
	for (size_t i = 0; i < COUNT(bad); i++) {
		(void)close(open_with("setting", bad[i], strlen(bad[i])));
		assert_int_equal(file_get_number(path, &value, &e), -EBADMSG);
	}
	assert_int_equal(file_get_number("/proc/sys/net/none", &value, &e), -ENOENT);
	assert_int_equal(file_put_number("/proc/sys/net/none", 1, &e), -ENOENT);
	assert_int_equal(file_get_number(root, &value, &e), -EISDIR);
	assert_int_equal(file_put_number("/dev/full", 1, &e), -ENOSPC);
}

TEST(the_boot_id_is_stable_and_clocks_run)
{
	struct err e;
	char one[BOOT_ID_TEXT];
	char two[BOOT_ID_TEXT];
	assert_int_equal(boot_id(one, &e), 0);
	assert_int_equal(boot_id(two, &e), 0);
	assert_string_equal(one, two);
	assert_int_equal(strlen(one), BOOT_ID_TEXT - 1);
	uint64_t before = boot_now_ns();
	assert_true(boot_now_ns() >= before);
	assert_true(boot_now_ms() >= (int64_t)(before / 1000000));
	assert_true(boot_now_ms() <= (int64_t)(boot_now_ns() / 1000000));
	assert_true(boot_wall_s() > 1500000000);
}

TEST(times_are_rfc_3339_in_utc)
{
	char text[32];
	boot_format_time(0, text);
	assert_string_equal(text, "1970-01-01T00:00:00Z");
	boot_format_time(1700000000, text);
	assert_string_equal(text, "2023-11-14T22:13:20Z");
	boot_format_time(INT64_MAX, text);
	assert_string_equal(text, "unknown");
}

FIXTURE(teardown)
{
	return folder_remove(root);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_file_is_read_up_to_its_limit),
		cmocka_unit_test(a_file_is_replaced_whole_or_not_at_all),
		cmocka_unit_test(a_failed_replacement_leaves_nothing_behind),
		cmocka_unit_test(everything_is_written_or_an_error_is_given),
		cmocka_unit_test(a_folder_is_made_with_its_parents_and_mode),
		cmocka_unit_test(a_folder_that_cannot_be_is_refused),
		cmocka_unit_test(locks_are_shared_or_exclusive),
		cmocka_unit_test(settings_are_numbers),
		cmocka_unit_test(the_boot_id_is_stable_and_clocks_run),
		cmocka_unit_test(times_are_rfc_3339_in_utc),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
