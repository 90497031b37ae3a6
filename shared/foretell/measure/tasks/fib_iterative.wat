;; Computes the 90th Fibonacci number argument times, each time from a seed that depends on the
;; last result, and returns the final state: a chain of additions that cannot be skipped.
;; Work grows with argument. Memory: none.
(module
  (func $fib90 (param $seed i64) (result i64)
    (local $a i64) (local $b i64) (local $next i64) (local $i i32)
    (local.set $a (local.get $seed))
    (local.set $b (i64.const 1))
    (local.set $i (i32.const 90))
    (loop $step
      (local.set $next (i64.add (local.get $a) (local.get $b)))
      (local.set $a (local.get $b))
      (local.set $b (local.get $next))
      (br_if $step (local.tee $i (i32.sub (local.get $i) (i32.const 1)))))
    (local.get $a))

  (func (export "run") (param $repeats i32) (result i64)
    (local $state i64)
    (block $done
      (loop $again
        (br_if $done (i32.eqz (local.get $repeats)))
        (local.set $state (call $fib90 (local.get $state)))
        (local.set $repeats (i32.sub (local.get $repeats) (i32.const 1)))
        (br $again)))
    (local.get $state)))
