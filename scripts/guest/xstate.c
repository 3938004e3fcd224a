/*
 * Preloaded into linux.uml: hands back all registers of the processor, not those alone that its kernel (before 6.13)
 * has room for. Where the processor has AMX there are more, and PTRACE_SETREGSET takes the whole set or fails with EFAULT
 * (xstateregs_set in arch/x86/kernel/fpu/regset.c). What is missing stays zero, which is how AMX begins.
 */
enum { PTRACE_GETREGSET = 0x4204, PTRACE_SETREGSET = 0x4205, NT_X86_XSTATE = 0x202, SYS_ptrace = 101 };

struct iovec {
	char *base;
	unsigned long length;
};

extern long syscall(long number, ...);
extern void *dlsym(void *handle, const char *name);

long ptrace(long request, long pid, long address, struct iovec *data)
{
	static long (*next)(long, long, long, struct iovec *);
	static char whole[65536];
	static unsigned long size;
	struct iovec all = {whole, sizeof whole};
	unsigned long i;

	if (request != PTRACE_SETREGSET || address != NT_X86_XSTATE) {
		if (!next)
			next = dlsym((void *)-1L /* RTLD_NEXT */, "ptrace");
		return next(request, pid, address, data);
	}
	if (size == 0) {
		if (syscall(SYS_ptrace, PTRACE_GETREGSET, pid, address, &all) < 0)
			return -1;
		size = all.length;
		for (i = 0; i < size; i++)
			whole[i] = 0;
	}
	for (i = 0; i < data->length && i < size; i++)
		whole[i] = data->base[i];
	all.length = size;
	return syscall(SYS_ptrace, request, pid, address, &all);
}
