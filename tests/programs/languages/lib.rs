pub fn squares(n: u64) -> u64 {
    (1..=n).map(|x| x * x).sum()
}
#[cfg(test)]
mod tests {
    #[test]
    fn sums() {
        assert_eq!(super::squares(3), 14);
    }
    #[test]
    #[should_panic]
    fn panics() {
        panic!("as it should")
    }
}
