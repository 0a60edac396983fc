/* Writes to address 0x1234, two functions deep. */
__attribute__((noinline)) int the_function_that_crashes(volatile int *where) {
    *where = 1;
    return *where + 1;
}

__attribute__((noinline)) int the_one_that_calls_it(long address) {
    return the_function_that_crashes((volatile int *)address) + 1;
}

int main(void) { return the_one_that_calls_it(0x1234); }
