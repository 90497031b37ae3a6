;; Counts the primes up to and including the argument with the sieve of Eratosthenes.
;; Work grows with argument * log(log(argument)). Memory: one byte per number.
(module
  (memory (export "memory") 1)

  (func $need (param $bytes i32)
    (local $pages i32)
    (local.set $pages
      (i32.sub
        (i32.shr_u (i32.add (local.get $bytes) (i32.const 65535)) (i32.const 16))
        (memory.size)))
    (if (i32.gt_s (local.get $pages) (i32.const 0))
      (then
        (if (i32.eq (memory.grow (local.get $pages)) (i32.const -1))
          (then (unreachable))))))

  (func $strike (param $prime i32) (param $limit i32)
    (local $k i32)
    (local.set $k (i32.mul (local.get $prime) (local.get $prime)))
    (block $done
      (loop $next
        (br_if $done (i32.gt_u (local.get $k) (local.get $limit)))
        (i32.store8 (local.get $k) (i32.const 1))
        (local.set $k (i32.add (local.get $k) (local.get $prime)))
        (br $next))))

  (func (export "run") (param $limit i32) (result i32)
    (local $k i32) (local $count i32)
    (call $need (i32.add (local.get $limit) (i32.const 1)))
    (local.set $k (i32.const 2))
    (block $done
      (loop $next
        (br_if $done (i32.gt_u (local.get $k) (local.get $limit)))
        (if (i32.eqz (i32.load8_u (local.get $k)))
          (then
            (local.set $count (i32.add (local.get $count) (i32.const 1)))
            ;; Squares above 46340 ** 2 do not fit 31 bits, and no limit reaches them.
            (if (i32.le_u (local.get $k) (i32.const 46340))
              (then (call $strike (local.get $k) (local.get $limit))))))
        (local.set $k (i32.add (local.get $k) (i32.const 1)))
        (br $next)))
    (local.get $count)))
